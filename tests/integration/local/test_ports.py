"""Ports for servers that are chosen one after the other and begin to listen together."""

import socket
import subprocess
import sys
from subprocess import PIPE

import pytest

from deploy.local import ports
from deploy.local.machine import ROOT

FEW = 8


def test_no_port_is_given_twice_though_nobody_listens_yet(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ports, "_given", set())
    monkeypatch.setattr(ports, "_HIGHEST", ports._LOWEST + FEW - 1)
    monkeypatch.setattr(ports, "is_free", lambda _: True)
    monkeypatch.setattr(ports, "_held", lambda _: True)
    assert sorted(ports.free_port() for _ in range(FEW)) == list(range(ports._LOWEST, ports._LOWEST + FEW))
    with pytest.raises(OSError, match="no free port"):
        ports.free_port()


def test_a_port_on_which_somebody_listens_is_not_given() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert not ports.is_free(port)
        assert ports.free_port(port) != port


def test_a_port_that_another_process_was_given_is_not_given_though_nobody_listens_there_now() -> None:
    code = "from deploy.local.ports import free_port; print(free_port(), flush=True); input()"
    with subprocess.Popen([sys.executable, "-c", code], cwd=ROOT, stdin=PIPE, stdout=PIPE, text=True) as other:
        assert other.stdout is not None
        theirs = int(other.stdout.readline())
        assert ports.is_free(theirs)
        assert ports.free_port(theirs) != theirs
        other.communicate("\n")
    assert ports.free_port(theirs) == theirs
