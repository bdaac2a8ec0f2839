"""Kafka's jars: what is not the pinned one is never used, and what cannot be had is told in a sentence."""

import hashlib
import os
import subprocess
import sys
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest

from deploy.kafka.jars import ROOTS, Jar, JarsError, fetch, pinned
from deploy.local.machine import JAR, LIBS, ROOT

PLACE = "vn/made/up/one/1.0/one-1.0.jar"


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *arguments: object) -> None:
        """Nothing: the test is not about who asked."""


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A Maven repository on this machine, named in the user's settings file; nobody else's copies."""
    folder = tmp_path / "repository"
    (folder / PLACE).parent.mkdir(parents=True)
    (folder / PLACE).write_bytes(b"a jar")
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Quiet, directory=str(folder)))
    Thread(target=server.serve_forever, daemon=True).start()
    (tmp_path / ".config").mkdir()
    (tmp_path / ".config" / "jgo.conf").write_text(
        f"[repositories]\ncentral = http://127.0.0.1:{server.server_address[1]}\n"
    )
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("M2_REPO", raising=False)
    yield folder
    server.shutdown()
    server.server_close()


@pytest.fixture
def libs(tmp_path: Path) -> Path:
    """A folder of jars as an earlier set-up left it."""
    folder = tmp_path / "libs"
    folder.mkdir()
    (folder / "old.jar").touch()
    return folder


def _jar(content: bytes) -> Jar:
    return Jar("vn.made.up:one:1.0", hashlib.sha256(content).hexdigest())


@pytest.mark.usefixtures("repository")
def test_a_jar_comes_from_the_users_own_repository(libs: Path) -> None:
    fetch([_jar(b"a jar")], libs)
    assert sorted(file.name for file in libs.iterdir()) == ["one-1.0.jar"]
    assert (libs / "one-1.0.jar").read_bytes() == b"a jar"


DIGEST = hashlib.sha256(b"a jar").hexdigest()
SOUND = f"vn.made.up:one:1.0 {DIGEST}"
BAD_LINES = (
    f"vn.made.up:../../evil:1.0 {DIGEST}", f"vn.made.up:one:../../../evil {DIGEST}", f"../../up:one:1.0 {DIGEST}",
    f"vn.made.up:/tmp/evil:1.0 {DIGEST}", f"vn.made.up:one:1.0/.. {DIGEST}", f"vn.made.up:..:1.0 {DIGEST}",
    f"vn..up:one:1.0 {DIGEST}", f"vn.made.up:..\\evil:1.0 {DIGEST}", f"vn.made.up:one\0:1.0 {DIGEST}",
    f"vn.made.up:one {DIGEST}", f"vn.made.up:one:1.0:jar {DIGEST}", f"::: {DIGEST}", "vn.made.up:one:1.0",
    f"vn.made.up:one:1.0 {DIGEST[1:]}", f"vn.made.up:one:1.0 {DIGEST} more", f"vn.made.up:one:1.0 {DIGEST.upper()}",
    f"vn.other:one:1.0 {DIGEST}", f"vn.other:ONE:1.0 {DIGEST}",
)  # fmt: skip


@pytest.mark.parametrize("line", BAD_LINES)
def test_a_lock_that_names_something_else_than_jars_is_refused_before_anything_is_written(
    line: str, libs: Path, tmp_path: Path
) -> None:
    (lock := tmp_path / "jars.lock").write_text(f"# a comment\n\n{SOUND}\n{line}\n")
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(JarsError, match=r"jars\.lock"):
        fetch(pinned(lock), libs)
    assert sorted(tmp_path.rglob("*")) == before


def test_what_the_lock_of_the_platform_names_is_taken() -> None:
    assert all(Path(jar.file).name == jar.file for jar in pinned())
    assert len(pinned()) > 10


@pytest.mark.usefixtures("repository")
def test_a_link_to_somebody_elses_jars_is_replaced_and_theirs_stay(libs: Path) -> None:
    (link := libs.with_name("link")).symlink_to(libs)
    fetch([_jar(b"a jar")], link)
    assert [file.name for file in link.iterdir()] == ["one-1.0.jar"]
    assert [file.name for file in libs.iterdir()] == ["old.jar"]


@pytest.mark.usefixtures("repository")
def test_a_jar_that_is_not_the_pinned_one_is_named_and_nothing_is_changed(libs: Path) -> None:
    with pytest.raises(JarsError, match=r"vn\.made\.up:one:1\.0: what came is not what jars\.lock pins"):
        fetch([_jar(b"another jar")], libs)
    assert [file.name for file in libs.iterdir()] == ["old.jar"]


def test_a_jar_that_nobody_has_is_named(repository: Path, libs: Path) -> None:
    (repository / PLACE).unlink()
    with pytest.raises(JarsError, match=r"one:1\.0 cannot be had .*jgo\.conf"):
        fetch([_jar(b"a jar")], libs)
    assert [file.name for file in libs.iterdir()] == ["old.jar"]


@pytest.mark.parametrize(("kept", "comes"), [(b"a jar", b"a jar"), (b"broken", b"a jar")])
def test_a_copy_of_mavens_is_used_where_it_is_the_pinned_one(
    kept: bytes, comes: bytes, repository: Path, libs: Path, tmp_path: Path
) -> None:
    own = tmp_path / ".m2" / "repository" / PLACE
    own.parent.mkdir(parents=True)
    own.write_bytes(kept)
    if kept == comes:
        (repository / PLACE).unlink()
    fetch([_jar(b"a jar")], libs)
    assert (libs / "one-1.0.jar").read_bytes() == comes
    assert own.read_bytes() == kept, "somebody else's folder is left as it is"


def test_what_is_pinned_holds_all_roots_and_is_what_was_fetched() -> None:
    jars = {jar.coordinate: jar for jar in pinned()}
    assert set(ROOTS) <= set(jars)
    assert JAR in {jar.file for jar in jars.values()}
    for jar in jars.values():
        assert hashlib.sha256((LIBS / jar.file).read_bytes()).hexdigest() == jar.sha256, jar


@pytest.mark.parametrize("trusts", [True, False])
def test_a_machine_that_trusts_nobody_leaves_the_package_its_own_authorities(
    trusts: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "certificates").mkdir()
    if trusts:
        (tmp_path / "certificates" / "0a775a30.0").touch()
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "none.pem"))
    monkeypatch.setenv("SSL_CERT_DIR", str(tmp_path / "certificates"))
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", "")  # so that what is set is taken back after the test
    monkeypatch.delenv("REQUESTS_CA_BUNDLE")
    fetch([], tmp_path / "libs")
    assert os.environ.get("REQUESTS_CA_BUNDLE") == (str(tmp_path / "certificates") if trusts else None)


def test_without_a_network_it_says_so_and_ends_with_1(tmp_path: Path) -> None:
    (tmp_path / ".config").mkdir()
    (tmp_path / ".config" / "jgo.conf").write_text("[repositories]\ncentral = http://127.0.0.1:9\n")
    script = "import sys, deploy.kafka.jars as j; j.LIBS = j.Path('libs'); sys.exit(j.main(['fetch']))"
    environment = {"HOME": str(tmp_path), "PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT)}
    told = subprocess.run(
        [sys.executable, "-c", script], env=environment, cwd=tmp_path, capture_output=True, text=True, timeout=60,
        check=False,
    )  # fmt: skip
    assert told.returncode == 1
    assert "is there a network?" in told.stderr
    assert "Traceback" not in told.stderr
