"""One name in all its spellings is one name; a letter or a tone that differs makes another."""

import unicodedata
from collections.abc import Iterable
from itertools import combinations, product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.cleaning import one_line
from shared.law.application import Applicant
from shared.law.names import folded, same_name

TONES = ("", "\u0300", "\u0301", "\u0303", "\u0309", "\u0323")
ONSETS = (
    "", "b", "c", "ch", "d", "đ", "g", "gh", "gi", "h", "k", "kh", "l", "m", "n", "ng", "ngh", "nh", "p", "ph", "qu",
    "r", "s", "t", "th", "tr", "v", "x",
)  # fmt: skip
RHYMES = (
    "a", "ă", "â", "e", "ê", "i", "o", "ô", "ơ", "u", "ư", "y", "ai", "ao", "au", "ay", "âu", "ây", "eo", "êu", "ia",
    "iu", "iêu", "oa", "oă", "oe", "oi", "ôi", "ơi", "oai", "oay", "oeo", "ua", "uâ", "uê", "ui", "uô", "uôi", "uơ",
    "uy", "uya", "uyê", "uyu", "ưa", "ưi", "ươ", "ươi", "ươu", "ưu", "yê", "yêu", "iê",
)  # fmt: skip
ENDS = ("", "c", "ch", "m", "n", "ng", "nh", "p", "t")
FORMS = ("NFC", "NFD", "NFKC", "NFKD")
SPACES = (" ", "  ", "\u00a0", "\u2009", "\u3000", "\u202f", "\t", " \u200b", "\u2060 ")
UNSEEN = ("\u200b", "\u200c", "\u200d", "\u2060", "\ufeff", "\u00ad", "\u034f", "\ufe0f", "\u200e")
APOSTROPHES = "'\u2019\u2018\u02bc\u00b4\u0060\u2032\uff07\u02b9\u201b"
HYPHENS = "-\u2010\u2011\u2012\u2013\u2014\u2212\ufe63\uff0d"
LOOKS_LIKE = {"Đ": "ÐƉ", "đ": "ðɖ", "A": "АΑ", "a": "а", "H": "НΗ", "o": "оο", "C": "С", "e": "е", "T": "ТΤ"}
"""A letter → others that look the same: Icelandic eth, African d, Cyrillic and Greek ones."""


def vowels_of(onset: str, rhyme: str) -> tuple[str, str]:
    """Consonants before, and the vowels on which a tone mark may stand, those of qu and gi included."""
    return (onset[:-1], onset[-1] + rhyme) if onset in ("qu", "gi") else (onset, rhyme)


@st.composite
def syllables(draw: st.DrawFn) -> tuple[str, tuple[str, ...]]:
    """A syllable in its usual spelling, and all places of its tone mark that are seen in the wild."""
    onset, rhyme, end, tone = (draw(st.sampled_from(one)) for one in (ONSETS, RHYMES, ENDS, TONES))
    before, vowels = vowels_of(onset, rhyme)
    spelled = tuple(before + vowels[: n + 1] + tone + vowels[n + 1 :] + end for n in range(len(vowels)))
    return unicodedata.normalize("NFC", spelled[-1]), tuple(unicodedata.normalize("NFC", one) for one in spelled)


@st.composite
def renderings(draw: st.DrawFn, words: tuple[tuple[str, tuple[str, ...]], ...]) -> str:
    """One way of writing these words."""
    parts = []
    for _, spelled in words:
        text = draw(st.sampled_from([str.lower, str.upper, str.title, str.swapcase]))(draw(st.sampled_from(spelled)))
        text = "".join(draw(st.sampled_from(one + LOOKS_LIKE.get(one, ""))) for one in text)
        text = unicodedata.normalize(draw(st.sampled_from(FORMS)), text)
        n = draw(st.integers(0, len(text)))
        parts.append(text[:n] + draw(st.sampled_from(("", *UNSEEN))) + text[n:])
    joined = "".join(draw(st.sampled_from(SPACES)) + part for part in parts)
    return joined + draw(st.sampled_from(("", *SPACES)))


WORDS = st.lists(syllables(), min_size=1, max_size=5).map(tuple)


@given(WORDS.flatmap(lambda words: st.tuples(st.just(words), renderings(words), renderings(words))))
def test_every_rendering_of_a_name_is_the_same_name(
    drawn: tuple[tuple[tuple[str, tuple[str, ...]], ...], str, str],
) -> None:
    words, one, other = drawn
    plain = " ".join(usual for usual, _ in words)
    assert folded(one) == folded(other) == folded(plain)


def _every_syllable() -> Iterable[str]:
    for onset, rhyme, end, tone in product(ONSETS, RHYMES, ENDS, TONES):
        before, vowels = vowels_of(onset, rhyme)
        yield unicodedata.normalize("NFC", before + vowels + tone + end)


def test_no_two_syllables_that_differ_in_a_letter_or_a_tone_become_one() -> None:
    every = set(_every_syllable())
    assert len(every) > 60_000
    assert len({folded(one) for one in every}) == len(every)


@given(WORDS, WORDS)
def test_two_names_are_one_only_if_every_letter_and_tone_is(
    one: tuple[tuple[str, tuple[str, ...]], ...], other: tuple[tuple[str, tuple[str, ...]], ...]
) -> None:
    written = [" ".join(usual for usual, _ in words) for words in (one, other)]
    assert same_name(*written) == (written[0] == written[1])


SAME = (
    ("Hòa", "Hoà"), ("Thúy", "Thuý"), ("Khỏe", "Khoẻ"), ("Quý", "Qúy"), ("Thoại", "Thọai"), ("Thủy", "Thuỷ"),
    ("Xuân Hòe", "XUÂN HOÈ"), ("Già", "Gìa"), ("Nguyễn", "NGUYỄN"), ("Đức", "Ðức", "Ɖức", "đức", "ðức", "ɖức"),
    ("Ksor H'Bia", "Ksor H’Bia", "KSOR H´BIA", "Ksor Hʼ\u200bBia"), ("Y-Bhin", "Y‑Bhin", "Y–BHIN", "y−bhin"),
    ("Rơ Châm", "Rơ\u00a0Châm", " RƠ  CHÂM\u200b"), ("Tuấn", "Tuâ\u0301n", "Tua\u0301\u0302n"), ("Hà", "HА\u0300"),
    ("Đinh", "D\u0336inh", "d\u0335inh"), ("Bình", "Bı\u0300nh"), ("Ân", "Ａ\u0302ｎ"), ("İ Bin", "I Bin"),
    ("Thanh Vân", "Thanh Vâ\u00adn"), ("Uyển", "Ủyên"),
)  # fmt: skip


@pytest.mark.parametrize("names", SAME, ids=lambda names: names[0])
def test_names_that_look_the_same_are_the_same(names: tuple[str, ...]) -> None:
    for one, other in combinations(names, 2):
        assert same_name(one, other), (one, other)


OTHERS = (
    ("Hoà", "Hoá"), ("Hoa", "Hòa"), ("Hoà", "Hoa"), ("Đức", "Dức"), ("Lý", "Lí"), ("Vân", "Văn"), ("Vân", "Van"),
    ("Tư", "Tu"), ("Tơ", "To"), ("Quỳnh", "Quýnh"), ("H'Bia", "HBia"), ("Y-Bhin", "YBhin"), ("An Bình", "Anbình"),
    ("Andréa", "Ándrea"), ("Hải", "Hãi"), ("Mẫu", "Mậu"), ("Thuỳ", "Thuỷ"), ("Ngọc", "Ngóc"), ("Sỹ", "Sĩ"),
    ("Nguyễn Văn An", "Nguyễn An Văn"), ("Mai", "Maí"),
)  # fmt: skip


@pytest.mark.parametrize(("one", "other"), OTHERS)
def test_names_that_differ_in_a_letter_a_tone_or_a_word_are_two(one: str, other: str) -> None:
    assert not same_name(one, other)
    assert not same_name(one.upper(), unicodedata.normalize("NFD", other))


@given(st.text(max_size=40))
def test_whatever_is_folded_is_folded_once_and_for_all(text: str) -> None:
    assert folded(folded(text)) == folded(text)
    assert same_name(text, text)


@pytest.mark.parametrize("name", ["Ksor H’Bia", "Hoà", "Hòa", "Y‑Bhin", "NGUYỄN THỊ ĐÀO", "Ðức"])
def test_what_is_kept_is_what_the_person_wrote(name: str) -> None:
    person = {"id_number": "001099123456", "date_of_birth": "1999", "locale": "vi"}
    decomposed = unicodedata.normalize("NFD", f"\u00a0{name} \u200b")
    assert Applicant.model_validate({**person, "full_name": decomposed}).full_name == name
    assert one_line(decomposed) == name
