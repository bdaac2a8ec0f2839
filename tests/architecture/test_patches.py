"""What is changed in other people's packages for a whole process has one home, and says why, and until when."""

import ast
import re
import sys
from collections.abc import Iterator
from importlib.metadata import version

import pytest

from deploy.local.machine import KAFKA_VERSION
from tests.architecture.source import Module, modules, snippet

HOME = "shared/runtime/kafka/patches/"
OWN = {"shared", "services", "deploy", "tests"}

_SAID = re.compile(r"^(Upstream|Looked at|Goes when): (.+?)(?=\n\n|\n[A-Z][a-z ]+: |\Z)", re.MULTILINE | re.DOTALL)
_FAULT = re.compile(r"(?:issues?|pull request) \d+|KIP-\d+|KAFKA-\d+")
_LOOKED_AT = re.compile(r"\b([A-Za-z][a-z-]+) (\d+(?:\.\d+)+)")


def unexplained(patch: Module) -> Iterator[str]:
    """What its docstring does not say: the fault upstream that it stands for, by number; the versions of packages in
    which that was looked for, which are those that are installed; when it may go.
    """
    said = dict(_SAID.findall(ast.get_docstring(patch.tree) or ""))
    if not _FAULT.search(said.get("Upstream", "")):
        yield patch.at(1, "names no fault upstream (issue, pull request, KIP or KAFKA-)")
    looked_at = _LOOKED_AT.findall(said.get("Looked at", ""))
    if not looked_at:
        yield patch.at(1, "does not say which versions were looked at")
    for name, seen in looked_at:
        if (here := KAFKA_VERSION if name == "Kafka" else version(name)) != seen:
            yield patch.at(1, f"{name} {here} is installed: look whether it still needs this, and say so")
    if not said.get("Goes when"):
        yield patch.at(1, "does not say when it may go")


def foreign(module: Module) -> Iterator[str]:
    """Assignments to what belongs to a package of somebody else: they change it for everybody in the process."""
    theirs = {
        alias.asname or alias.name.partition(".")[0]
        for node in ast.walk(module.tree)
        if isinstance(node, ast.Import | ast.ImportFrom) and not getattr(node, "level", 0)
        for alias in node.names
        if _is_foreign(node.module or "" if isinstance(node, ast.ImportFrom) else alias.name)
    }
    for node in ast.walk(module.tree):
        for target in _changed(node):
            if isinstance(target, ast.Attribute | ast.Subscript) and _root(target) in theirs:
                yield module.at(target.lineno, f"changes {ast.unparse(target)}")


def _is_foreign(name: str) -> bool:
    package = name.partition(".")[0]
    return package not in OWN and package not in sys.stdlib_module_names


def _changed(node: ast.AST) -> list[ast.expr]:
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in ("setattr", "delattr"):
        return [ast.Attribute(node.args[0], "…", ast.Store(), lineno=node.lineno, col_offset=0)]
    if isinstance(node, ast.AugAssign | ast.AnnAssign):
        return [node.target]
    return node.targets if isinstance(node, ast.Assign | ast.Delete) else []


def _root(node: ast.expr) -> str | None:
    while isinstance(node, ast.Attribute | ast.Subscript):
        node = node.value
    return node.id if isinstance(node, ast.Name) else None


PATCHES = [one for one in modules("shared") if one.path.startswith(HOME) and not one.path.endswith("__init__.py")]


@pytest.mark.parametrize("patch", PATCHES, ids=lambda patch: patch.path.removeprefix(HOME))
def test_a_patch_names_its_fault_upstream_what_was_looked_at_and_when_it_may_go(patch: Module) -> None:
    assert list(unexplained(patch)) == []


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("Looked at: uvloop 0.0.1.\nGoes when: it is mended.", "names no fault"),
        ("Upstream: a bug.\nLooked at: uvloop 0.0.1.\nGoes when: it is mended.", "names no fault"),
        ("Upstream: uvloop issue 471.\nGoes when: it is mended.", "which versions"),
        ("Upstream: uvloop issue 471.\nLooked at: uvloop 0.0.1.\nGoes when: it is mended.", "is installed"),
        ("Upstream: uvloop issue 471.\nLooked at: uvloop 0.0.1.", "when it may go"),
    ],
)
def test_a_patch_that_lacks_one_of_them_is_found(text: str, fault: str) -> None:
    assert any(fault in one for one in unexplained(snippet(f"{HOME}a.py", f'"""A patch.\n\n{text}\n"""')))


def test_other_peoples_packages_are_changed_in_one_place() -> None:
    elsewhere = [one for one in modules("shared", "services", "deploy") if not one.path.startswith(HOME)]
    assert [fault for one in elsewhere for fault in foreign(one)] == []
    assert len([fault for patch in PATCHES for fault in foreign(patch)]) >= 4


@pytest.mark.parametrize(
    "text",
    [
        "from aiokafka.conn import AIOKafkaConnection\nAIOKafkaConnection.close = mine",
        "import aiokafka.conn\ndef f():\n    aiokafka.conn.create_conn = mine",
        "import faust\nsetattr(faust.App, 'start', mine)",
        "from uvicorn import config as c\nc.LIFESPAN['auto'] = mine",
        "import mode\ndel mode.Service.crash",
    ],
)
def test_a_change_of_somebody_elses_package_is_found(text: str) -> None:
    assert len(list(foreign(snippet("shared/runtime/kafka/clients.py", text)))) == 1


def test_a_change_of_our_own_is_none_of_theirs() -> None:
    assert not list(foreign(snippet("a.py", "import sys\nfrom shared import x\nsys.stdin = x.y = self.z = None")))
