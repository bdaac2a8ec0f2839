"""Nothing connects, reads the environment or asks the clock at import: a module can be looked at without harm."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.architecture import import_everything
from tests.architecture.source import ROOT, Module, called, modules, snippet

EAGER = {
    "connect", "create_pool", "open", "getenv", "now", "utcnow", "today", "monotonic", "perf_counter", "socket",
    "urandom", "uuid1", "uuid4", "token_hex", "run", "Popen", "read_text", "read_bytes", "write_text", "mkdir",
    "get_event_loop", "ClientSession", "Settings", "load", "load_catalogue", "shipped_catalogue", "configure", "getpid",
    "gethostname", "getuser", "start_http_server", "import_module", "print", "basicConfig",
}  # fmt: skip


def eager_acts(module: Module) -> Iterator[str]:
    """Calls and looks at the environment that happen while the module is imported, defaults of arguments included."""
    for node in _at_import(module.tree):
        if isinstance(node, ast.Call) and _is_eager(called(node.func)):
            yield module.at(node.lineno, f"calls {called(node.func)} at import")
        elif isinstance(node, ast.Attribute) and called(node) == "os.environ":
            yield module.at(node.lineno, "reads the environment at import")


def _is_eager(name: str) -> bool:
    # `time(11, 30)` is an hour of the day, `time.time()` asks the clock.
    return name == "time.time" or name.rpartition(".")[2] in EAGER


def _at_import(node: ast.AST) -> Iterator[ast.AST]:
    """`node` and all below it, without bodies of functions and without what runs only as a program."""
    yield node
    if isinstance(node, ast.Lambda) or _is_main_guard(node):
        return
    inside: list[ast.AST] = list(ast.iter_child_nodes(node))
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
        inside = [*node.decorator_list, *node.args.defaults, *(given for given in node.args.kw_defaults if given)]
    for child in inside:
        yield from _at_import(child)


def _is_main_guard(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and "__name__" in ast.unparse(node.test)


def _import_all(root: Path, *folders: str) -> subprocess.CompletedProcess[str]:
    program = [sys.executable, import_everything.__file__, str(root), *folders]
    return subprocess.run(program, cwd=root, capture_output=True, text=True, timeout=240, check=False)


def test_no_module_acts_at_import() -> None:
    everything = modules("services", "shared", "deploy")

    assert len(everything) > 80
    assert [fault for module in everything for fault in eager_acts(module)] == []


@pytest.mark.parametrize(
    "text",
    [
        "import os\nURL = os.environ['DATABASE_URL']",
        "URL = os.getenv('DATABASE_URL', '')",
        "STARTED = datetime.now(UTC)",
        "class Clock:\n    started = time.monotonic()",
        "def handle(at=datetime.now()): ...",
        "def handle(*, at=time.time()): ...",
        "pool = asyncio.run(asyncpg.create_pool(url))",
        "LAW = shipped_catalogue()",
        "TEXTS = Path('texts.json').read_text()",
        "if True:\n    connection = socket.socket()",
        "@cached(until=time.time())\ndef handle(): ...",
    ],
)
def test_an_act_at_import_is_found(text: str) -> None:
    assert list(eager_acts(snippet("services/intake/api.py", text)))


def test_what_runs_only_when_called_is_fine() -> None:
    text = """
        def service():
            return shipped_catalogue()
        later = lambda: datetime.now(UTC)
        if __name__ == "__main__":
            run(service)
    """
    assert list(eager_acts(snippet("services/intake/__main__.py", text))) == []


def test_every_module_is_imported_without_touching_the_world() -> None:
    done = _import_all(ROOT, "services", "shared")

    assert done.stderr == ""
    assert done.stdout.strip() == ""
    assert done.returncode == 0


@pytest.mark.parametrize(
    "text",
    [
        "import os\nURL = os.environ.get('DATABASE_URL')",
        "import os\nURL = os.getenv('DATABASE_URL')",
        "import os\nHERE = 'DATABASE_URL' in os.environ",
        "import socket\ntry:\n    socket.create_connection(('127.0.0.1', 9), 0.1)\nexcept OSError:\n    pass",
        "import subprocess, sys\nsubprocess.run([sys.executable, '-c', ''])",
        "open('left-behind', 'w').close()",
    ],
)
def test_a_module_that_touches_the_world_at_import_is_caught_in_the_act(text: str, tmp_path: Path) -> None:
    (tmp_path / "guilty").mkdir()
    (tmp_path / "guilty" / "module.py").write_text(text)

    done = _import_all(tmp_path, "guilty")

    assert done.returncode == 1, done.stderr
    assert "module.py:" in done.stdout


def test_an_innocent_module_is_let_go(tmp_path: Path) -> None:
    (tmp_path / "innocent").mkdir()
    (tmp_path / "innocent" / "module.py").write_text("import os\ndef url():\n    return os.environ['DATABASE_URL']\n")

    assert _import_all(tmp_path, "innocent").returncode == 0
