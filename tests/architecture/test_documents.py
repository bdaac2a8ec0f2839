"""What people read: the front page is short, every link leads somewhere, and no page is left behind by the code."""

import ast
import re
from collections.abc import Iterator
from pathlib import PurePosixPath

import pytest

from shared.runtime.kernel import decider, hearing, message, work
from shared.services import SERVICES
from tests.architecture.source import ROOT, Module, modules, tracked
from tests.architecture.test_packages import PACKAGES
from tests.floors import _FLOORS
from tests.reference import README, chapter, rows

README_LINES = 150
MACHINE = ROOT / "shared" / "runtime" / "README.md"
WORDS = (
    decider.Message, decider.Decider, decider.Decision, message.Record, message.Item, message.Handled, message.Place,
    message.Claim, work.Work, work.Draft, work.Said,
)  # fmt: skip
"""What whoever reads the machine meets first."""

_LINK = re.compile(r"\]\(([^)\s]+)\)")
_TABLE = re.compile(r"^CREATE (?:UNLOGGED )?TABLE (\w+)", re.MULTILINE)
_FENCED = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)
PAGES = tuple(name for name in tracked() if name.endswith(".md"))


def anchors(text: str) -> set[str]:
    """What can follow `#` in a link to this page, as GitHub makes it of the headings."""
    titles = re.findall(r"^#+ (.+)$", _FENCED.sub("", text), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


def broken(page: str, text: str) -> Iterator[str]:
    """Links to a file or a chapter that there is not. Other people's pages are not looked at."""
    for link in _LINK.findall(_FENCED.sub("", text)):
        path, _, anchor = link.partition("#")
        if "://" in path:
            continue
        target = (ROOT / PurePosixPath(page).parent / path).resolve() if path else ROOT / page
        if not (target.exists() and target.is_relative_to(ROOT)):
            yield f"{page}: {link}: no such file here"
        elif anchor and anchor not in anchors(target.read_text(encoding="utf-8")):
            yield f"{page}: {link}: no such chapter"


@pytest.mark.parametrize("page", PAGES)
def test_every_link_leads_somewhere(page: str) -> None:
    assert list(broken(page, (ROOT / page).read_text(encoding="utf-8"))) == []


@pytest.mark.parametrize(
    "text", ["[a](nowhere.md)", "[a](../..)", "[a](#nowhere)", "[a](../deploy/REFERENCE.md#nowhere)"]
)
def test_a_link_that_leads_nowhere_is_found(text: str) -> None:
    assert list(broken("tests/README.md", text))


def test_the_front_page_is_read_in_three_minutes() -> None:
    assert len(README.read_text(encoding="utf-8").splitlines()) <= README_LINES


def test_the_front_page_has_every_service() -> None:
    told = [row[0] for row in rows(README.read_text(encoding="utf-8")) if "](services/" in row[0]]
    assert told == [f"[{name}](services/{name}/README.md)" for name in SERVICES]


def test_the_page_of_the_machine_has_each_of_its_packages_from_the_top_down() -> None:
    assert [row[0].strip("`") for row in rows(chapter(MACHINE, "Packages"))] == list(reversed(PACKAGES))


def test_the_page_of_the_machine_explains_the_words_of_the_kernel_and_where_they_are() -> None:
    told = {row[0].strip("*"): row[2].strip("`") for row in rows(chapter(MACHINE, "Words"))}
    assert {word.__name__: told.get(word.__name__) or told.get(word.__name__.lower()) for word in WORDS} == {
        word.__name__: word.__module__.removeprefix("shared.runtime.").replace(".", "/") + ".py" for word in WORDS
    }


def test_the_page_of_the_machine_has_every_table_that_all_services_share() -> None:
    told = " ".join(row[0] for row in rows(chapter(MACHINE, "What lies in the database")))
    scripts = [ROOT / name for name in tracked() if name.startswith("shared/runtime/store/migrations/")]
    made = {name for script in scripts for name in _TABLE.findall(script.read_text(encoding="utf-8"))}
    assert len(made) > 10
    assert [name for name in sorted(made) if f"`{name}`" not in told] == []


def again(word: str, room: Module) -> bool:
    """Whether a file of the machine gives the name of that word to something else."""
    made = [node.name for node in room.tree.body if isinstance(node, ast.ClassDef)]
    aliases = [target for node in room.tree.body if isinstance(node, ast.Assign) for target in node.targets]
    return word in made + [one.id for one in aliases if isinstance(one, ast.Name)]


@pytest.mark.parametrize("word", [*WORDS, hearing.Heard], ids=lambda word: word.__name__)
def test_a_word_of_the_machine_means_one_thing(word: type) -> None:
    found = [room.name for room in modules("shared/runtime") if again(word.__name__, room)]
    assert found == [word.__module__]


def test_the_page_of_the_tests_has_every_floor() -> None:
    told = " ".join(row[0] for row in rows((ROOT / "tests" / "README.md").read_text(encoding="utf-8")))
    assert [floor for floor in _FLOORS if f"`{floor}`" not in told] == []
