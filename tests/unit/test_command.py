"""A command that is interrupted, or that nobody reads any more, ends without a traceback."""

import shlex
import signal
import subprocess
import sys
from collections.abc import Sequence

import pytest

from deploy.local.machine import ROOT

WAITS = """
import signal, sys
from shared.command import run_command
def main():
    # What runs in the background of a shell is born deaf to Ctrl-C, and so are its children.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    print("begun", flush=True)
    signal.pause()
run_command(main)
"""
ANOTHER_PIPE = """
import os
from shared.command import run_command
def main():
    read, write = os.pipe()
    os.close(read)
    os.write(write, b"x")
run_command(main)
"""
PARSED = "import argparse; from shared.command import run_command; run_command(argparse.ArgumentParser().parse_args)"
CODE = "from shared.command import run_command; run_command(lambda: 7)"


SAYS = """
import sys
from shared.command import run_command
def main():
    sys.stdout.write("an answer")
    sys.stderr.write("a word")
    print(sys.stdin.read(), file=sys.stderr)
    return 3
run_command(main)
"""


def begun(*arguments: str) -> "subprocess.Popen[bytes]":
    command = [sys.executable, *arguments]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE)


@pytest.mark.parametrize(
    "arguments",
    [["-m", "shared.law", "catalogue"], ["-m", "deploy.local", "doctor"], ["-m", "shared.law", "--help"]],
    ids=" ".join,
)
def test_a_command_whose_reader_has_gone_ends_with_141_and_says_nothing(arguments: Sequence[str]) -> None:
    with begun(*arguments) as child:
        assert child.stdout is not None
        assert child.stderr is not None
        child.stdout.close()  # as `head -0` does
        assert child.stderr.read() == b""
    assert child.returncode == 141


def test_ctrl_c_ends_a_command_with_130_and_a_word() -> None:
    with begun("-c", WAITS) as child:
        assert child.stdout is not None
        assert child.stderr is not None
        assert child.stdout.readline() == b"begun\n"
        child.send_signal(signal.SIGINT)
        assert child.stderr.read() == b"interrupted\n"
    assert child.returncode == 130


def test_a_broken_pipe_of_another_kind_is_a_fault() -> None:
    with begun("-c", ANOTHER_PIPE) as child:
        assert child.stderr is not None
        assert b"BrokenPipeError" in child.stderr.read()
    assert child.returncode == 1


@pytest.mark.parametrize(
    ("arguments", "code"), [(["-c", CODE], 7), (["-c", PARSED, "--help"], 0), (["-c", PARSED, "--no-such"], 2)]
)
def test_the_code_is_what_main_returns_or_ends_with(arguments: Sequence[str], code: int) -> None:
    with begun(*arguments) as child:
        child.communicate()
    assert child.returncode == code


@pytest.mark.parametrize("closed", [">&-", "2>&-", "<&-", ">&- 2>&-", "<&- >&- 2>&-"])
def test_a_command_whose_streams_are_closed_ends_as_it_would_without_a_traceback(closed: str) -> None:
    shell = f"{shlex.quote(sys.executable)} -c {shlex.quote(SAYS)} {closed}"
    ended = subprocess.run(["sh", "-c", shell], cwd=ROOT, input=b"asked", capture_output=True, timeout=60, check=False)
    assert ended.returncode == 3
    assert ended.stdout == (b"" if closed.startswith(">") or " >" in closed else b"an answer")
    assert ended.stderr == (b"" if "2>" in closed else b"a word\n" if "<" in closed else b"a wordasked\n")


@pytest.mark.parametrize(
    "arguments", [["-m", "shared.law", "catalogue"], ["-m", "shared.law", "--help"]],
    ids=" ".join,
)  # fmt: skip
def test_an_operators_command_with_its_output_closed_says_nothing(arguments: Sequence[str]) -> None:
    shell = f"{shlex.join([sys.executable, *arguments])} >&-"
    ended = subprocess.run(["sh", "-c", shell], cwd=ROOT, capture_output=True, timeout=60, check=False)
    assert (ended.stderr, ended.returncode) == (b"", 0)
