"""The repository as text and syntax trees. The laws in this folder are functions from these to faults, in words."""

import ast
import subprocess
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from textwrap import dedent

ROOT = Path(__file__).resolve().parents[2]

Function = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True)
class Module:
    """One Python file: its path from the root of the repository, and its text."""

    path: str
    text: str

    @cached_property
    def tree(self) -> ast.Module:
        """The syntax tree."""
        return ast.parse(self.text)

    @property
    def name(self) -> str:
        """The dotted name under which it is imported."""
        return self.path.removesuffix(".py").removesuffix("/__init__").replace("/", ".")

    def imports(self) -> Iterator[tuple[int, str]]:
        """Line and dotted name of everything imported anywhere in the file, names out of packages included."""
        for node in ast.walk(self.tree):
            if isinstance(node, ast.Import):
                yield from ((node.lineno, alias.name) for alias in node.names)
            elif isinstance(node, ast.ImportFrom):
                base = self._absolute(node)
                yield from ((node.lineno, f"{base}.{alias.name}") for alias in node.names)

    def _absolute(self, node: ast.ImportFrom) -> str:
        if not node.level:
            return node.module or ""
        inside = self.path.removesuffix(".py").split("/")[: -node.level]
        return ".".join([*inside, *([node.module] if node.module else [])])

    def functions(self) -> Iterator[Function]:
        """Every function and method, nested ones too."""
        yield from (node for node in ast.walk(self.tree) if isinstance(node, Function))

    def at(self, line: int, what: str) -> str:
        """A fault, with its place."""
        return f"{self.path}:{line}: {what}"


def snippet(path: str, text: str) -> Module:
    """A made-up file, to show that a law can be broken."""
    return Module(path, dedent(text))


@cache
def tracked() -> tuple[str, ...]:
    """Every file of the repository that is tracked, or would be if it were added now; none that is ignored."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT, capture_output=True, check=True, text=True,
    )  # fmt: skip
    return tuple(sorted({name for name in listed.stdout.split("\0") if name and (ROOT / name).is_file()}))


@cache
def modules(*folders: str) -> tuple[Module, ...]:
    """Every Python file under `folders`."""
    inside = tuple(f"{folder}/" for folder in folders)
    return tuple(
        Module(name, (ROOT / name).read_text())
        for name in tracked()
        if name.endswith(".py") and name.startswith(inside)
    )


def under(name: str, packages: Iterable[str]) -> bool:
    """Whether the dotted `name` is one of `packages` or lies in one."""
    return any(name == package or name.startswith(f"{package}.") for package in packages)


def called(node: ast.expr) -> str:
    """The dotted name of what is called, as far as it is written as names: `datetime.now`, `self.pool.fetch`."""
    if isinstance(node, ast.Attribute):
        return f"{called(node.value)}.{node.attr}"
    return node.id if isinstance(node, ast.Name) else "?"
