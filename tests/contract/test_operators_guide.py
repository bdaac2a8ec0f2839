"""What the operator's guide tells operators to type in containers, and what `make test-compose` types of it."""

import re
import subprocess
from pathlib import Path

import pytest

from shared.topics import TOPICS
from tests.compose import __main__ as trials
from tests.compose.guide import GUIDE, commands

NAMED = re.findall(r"^```sh (\S+)$", GUIDE.read_text(encoding="utf-8"), re.MULTILINE)
TYPED = re.findall(r'\.typed\("([^"]+)"', Path(trials.__file__).read_text(encoding="utf-8"))


def test_every_block_that_has_a_name_is_tried_in_containers() -> None:
    assert sorted({"dossier", *TYPED}) == sorted(NAMED)
    assert len(NAMED) > 0


@pytest.mark.parametrize("name", NAMED)
def test_a_block_is_what_bash_can_read(name: str) -> None:
    checked = subprocess.run(["bash", "-n"], input=commands(name), text=True, capture_output=True, check=False)
    assert (checked.returncode, checked.stderr) == (0, "")


def test_a_block_that_is_not_there_is_an_error() -> None:
    with pytest.raises(ValueError, match="not enough values"):
        commands("no-such-block")


def test_whoever_hears_a_service_is_upgraded_before_it() -> None:
    rows = re.findall(r"^\| `(\w+)` \| ((?:`\w+`(?:, )?)+) \|$", GUIDE.read_text(encoding="utf-8"), re.MULTILINE)
    before = {writer: set(re.findall(r"\w+", others)) for writer, others in rows}
    heard = {topic.writer: set(topic.readers) - {topic.writer} for topic in TOPICS.values() if topic.public}

    assert before == {writer: readers for writer, readers in heard.items() if readers}
