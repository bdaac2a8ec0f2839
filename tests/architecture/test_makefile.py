"""What `make demo` hands on: what is typed at it, as it is typed, and nothing else."""

import os
import shlex
import subprocess
from collections.abc import Mapping

from tests.architecture.source import ROOT


def handed_on(*words: str, environment: Mapping[str, str] | None = None) -> list[str]:
    """The arguments that the demonstration would be called with."""
    # Without what a make above this test has told its children.
    plain = {name: text for name, text in os.environ.items() if name not in ("MAKEFLAGS", "MFLAGS", "MAKELEVEL")}
    done = subprocess.run(
        ["make", "--just-print", "demo", *words],
        cwd=ROOT, env={**plain, **(environment or {})}, capture_output=True, text=True, timeout=60, check=True,
    )  # fmt: skip
    _, _, arguments = done.stdout.splitlines()[-1].partition("deploy.demo")
    return shlex.split(arguments)


def test_a_path_with_spaces_and_quotes_is_handed_on_whole() -> None:
    path = "/tmp/the people's $files/a, b (1).jsonl"
    assert handed_on(f"INPUT={path}", f"REGISTER={path}", "N=5", "REPLICAS=2") == [
        "--count", "5", "--input", path, "--register", path, "--replicas", "2",
    ]  # fmt: skip


def test_what_is_exported_and_not_typed_changes_nothing() -> None:
    exported = dict.fromkeys(("N", "INPUT", "REGISTER", "REPLICAS"), "7")
    assert handed_on(environment=exported) == []


def test_what_is_typed_without_a_value_is_not_handed_on() -> None:
    assert handed_on("N=") == []
