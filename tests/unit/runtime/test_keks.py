"""Several key-encryption keys at once: the newest wraps, each opens what lies under it, and a file names them."""

import base64
from pathlib import Path
from uuid import UUID

import pytest

from shared.errors import KekNotHere, Misconfigured
from shared.runtime.keys.sealing import Kek, Keks, new_data_key
from shared.runtime.service.settings import OperatorSettings

DOSSIER = UUID(int=7)
OLD, NEW = Kek(b"o" * 32, "kek-1"), Kek(b"n" * 32, "kek-2")
OLD_TEXT, NEW_TEXT = (base64.b64encode(letter * 32).decode() for letter in (b"o", b"n"))


def test_the_newest_wraps_and_each_opens_what_lies_under_it() -> None:
    keks, key = Keks([OLD, NEW]), new_data_key()
    assert keks.wrap(DOSSIER, key).kek_id == keks.newest == "kek-2"
    assert keks.unwrap(keks.wrap(DOSSIER, key)) == keks.unwrap(OLD.wrap(DOSSIER, key)) == key


def test_what_lies_under_one_that_is_not_there_waits_and_under_another_of_its_name_is_refused() -> None:
    wrapped = OLD.wrap(DOSSIER, new_data_key())
    with pytest.raises(KekNotHere, match="kek-1"):
        Keks([NEW]).unwrap(wrapped)
    with pytest.raises(Misconfigured, match="kek-1"):
        Keks([Kek(b"x" * 32, "kek-1"), NEW]).unwrap(wrapped)


def settings(folder: Path, text: str) -> OperatorSettings:
    """A command's settings with this file `kek`."""
    (folder / "kek").write_text(text)
    return OperatorSettings(database_url="postgresql://x@db/x", secrets_dir=folder)


@pytest.mark.parametrize("first", [OLD_TEXT, f"kek-1 {OLD_TEXT}"], ids=["without a name", "named"])
def test_a_file_names_them_and_a_lone_one_needs_no_name(first: str, tmp_path: Path) -> None:
    key = new_data_key()
    assert settings(tmp_path, first).kek().unwrap(OLD.wrap(DOSSIER, key)) == key
    both = settings(tmp_path, f"{first}\n\nkek-2 {NEW_TEXT}\n").kek()
    assert (both.newest, sorted(both.names)) == ("kek-2", ["kek-1", "kek-2"])
    assert both.unwrap(OLD.wrap(DOSSIER, key)) == both.unwrap(NEW.wrap(DOSSIER, key)) == key
    assert settings(tmp_path, f"kek-2 {NEW_TEXT}").kek().names == {"kek-2"}


@pytest.mark.parametrize(
    "text",
    [
        f"{OLD_TEXT}\n{NEW_TEXT}",
        f"kek-1 {OLD_TEXT}\nkek-1 {NEW_TEXT}",
        f"{OLD_TEXT}\nkek-1 {NEW_TEXT}",
        f"kek 2 {NEW_TEXT}",
        f"Khóa {NEW_TEXT}",
        f"kek-1 {OLD_TEXT}\nkek-2 {NEW_TEXT[:20]}",
    ],
    ids=["a second without a name", "a name twice", "the first's name again", "three words", "no word", "short"],
)
def test_a_file_that_says_something_else_is_refused_and_not_shown(text: str, tmp_path: Path) -> None:
    with pytest.raises(Misconfigured, match="secret kek") as refused:
        settings(tmp_path, text).kek()
    assert OLD_TEXT not in str(refused.value)
    assert NEW_TEXT not in str(refused.value)
