"""Ports for servers that are chosen one after the other and begin to listen together."""

import socket

import pytest

from deploy.local import ports

FEW = 8


def test_no_port_is_given_twice_though_nobody_listens_yet(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ports, "_given", set())
    monkeypatch.setattr(ports, "_HIGHEST", ports._LOWEST + FEW - 1)
    monkeypatch.setattr(ports, "is_free", lambda _: True)
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
