"""What is wrong with a body before its content is judged: every place at once, and no value of it repeated."""

import json
from typing import Any, Literal

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError

from shared.errors import Fault
from shared.forms import MAX_DEPTH, MAX_FAULTS, NotJson, form_faults, pointer, read_json

texts = st.text(st.characters(exclude_categories=["Cc", "Cs"]))
values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | texts,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4),
    max_leaves=20,
)


def found(body: str | bytes) -> list[str]:
    """The faults of a body's texts and names, as place and word."""
    _, faults = read_json(body.encode() if isinstance(body, str) else body)
    return [f"{fault.pointer} {fault.code}" for fault in faults]


@given(content=values, ascii_only=st.booleans())
def test_what_is_json_is_read_as_it_was_written(content: Any, ascii_only: bool) -> None:
    assert read_json(json.dumps(content, ensure_ascii=ascii_only).encode()) == (content, ())


@pytest.mark.parametrize(
    "body",
    [b"", b" ", b"{", b"nul", b"{'a': 1}", b"[1,]", b"NaN", b"1 2", b'"\xff"', b'"\\ud800"', b"\xef\xbb\xbf"],
    ids=repr,
)
def test_what_is_not_json_in_utf_8_is_not_read(body: bytes) -> None:
    with pytest.raises(NotJson) as wrong:
        read_json(body)
    assert wrong.value.faults == ()


@pytest.mark.parametrize("opening", ["[", '{"a":'])
def test_a_body_may_be_as_deep_as_the_limit_and_no_deeper(opening: str) -> None:
    closing = {"[": "]", '{"a":': "}"}[opening]
    inner = "1"
    read_json((opening * (MAX_DEPTH - 1) + inner + closing * (MAX_DEPTH - 1)).encode())
    with pytest.raises(NotJson) as wrong:
        read_json((opening * (MAX_DEPTH + 1) + inner + closing * (MAX_DEPTH + 1)).encode())
    assert [fault.code for fault in wrong.value.faults] == ["too-deep"]


def test_a_body_with_many_levels_side_by_side_is_not_deep() -> None:
    assert found(json.dumps([[[]]] * 100)) == []


@pytest.mark.parametrize("code", [0x00, 0x01, 0x08, 0x0B, 0x0C, 0x0E, 0x1F, 0x7F, 0x80, 0x9F])
@pytest.mark.parametrize("raw", [True, False], ids=["raw", "escaped"])
def test_a_control_character_is_found_in_a_text_and_in_a_name(code: int, raw: bool) -> None:
    written = chr(code) if raw and code >= 0x7F else f"\\u{code:04x}"
    assert found(f'{{"a": ["fine", "x{written}"]}}') == ["/a/1 control-character"]
    assert found(f'{{"a": {{"x{written}": 1}}}}') == ["/a control-character"]


@pytest.mark.parametrize("text", ["\t", "\n", "\r\n", " ", "\u00a0", "ế", "\u0301", "😀"])
def test_line_ends_tabs_and_letters_of_any_kind_are_no_control_characters(text: str) -> None:
    assert found(json.dumps({text: text})) == found(json.dumps({text: text}, ensure_ascii=False)) == []


@pytest.mark.parametrize("body", [b'{"a": 1}', b'{"a": 1, "a": 1, "b": "\\u0007"}', b"[" * 40 + b"]" * 40])
def test_a_byte_order_mark_before_the_body_changes_nothing(body: bytes) -> None:
    def read(text: bytes) -> object:
        try:
            return read_json(text)
        except NotJson as wrong:
            return wrong.faults

    assert read(b"\xef\xbb\xbf" + body) == read(body)


def test_a_control_character_is_named_with_its_place() -> None:
    _, faults = read_json(b'{"a": "private\\u0007", "\\u001bb": 1}')
    assert [fault.message for fault in faults] == [
        "control characters are not allowed in names: U+001B ESCAPE",
        "control characters are not allowed: character 8 is U+0007 CONTROL CHARACTER",
    ]
    assert "ký tự thứ 8 là U+0007" in faults[1].said("vi")


def test_in_a_text_of_a_pattern_what_nobody_sees_is_named_with_its_place() -> None:
    with pytest.raises(ValidationError) as wrong:
        Form.model_validate_json(orjson.dumps({"inner": {"code": "ab\u200b", "many": []}, "kind": "one", "size": 1}))
    told = {fault.pointer: fault.message for fault in form_faults(wrong.value)}
    assert told["/inner/code"] == "character 3 is not allowed here: U+200B ZERO WIDTH SPACE"


def test_a_field_that_is_named_twice_is_found_where_it_stands_once_each() -> None:
    assert found('{"a": 1, "b": [{"c": 1, "c": 2, "d": 3, "c": 4}], "a": 1}') == [
        "/a duplicate-field", "/b/0/c duplicate-field",
    ]  # fmt: skip


def test_the_same_name_written_in_two_ways_is_the_same_name() -> None:
    assert found('{"a": 1, "\\u0061": 2}') == ["/a duplicate-field"]


def test_no_more_faults_are_told_than_anybody_reads_and_they_are_sorted() -> None:
    faults = found(json.dumps(["\x00"] * (MAX_FAULTS + 50)))
    assert len(faults) == MAX_FAULTS
    assert faults == sorted(faults)


class Inner(BaseModel):
    """A part of a form."""

    model_config = ConfigDict(extra="forbid", strict=True)
    code: str = Field(pattern="^[a-z]+$", max_length=5)
    many: list[int] = Field(max_length=2)


class Form(BaseModel):
    """A form."""

    model_config = ConfigDict(extra="forbid", strict=True)
    inner: Inner
    kind: Literal["one", "other"]
    at: AwareDatetime
    size: int = Field(ge=1, le=9)


SECRET = "secret-secret-secret"


def faults_of(content: Any) -> list[str]:
    """What the form finds wrong with a content, as place and word; no value that was sent is in any fault."""
    with pytest.raises(ValidationError) as wrong:
        Form.model_validate_json(orjson.dumps(content))
    told = list(form_faults(wrong.value))
    assert not any(SECRET in fault.message for fault in told)
    assert all(fault.message for fault in told)
    return sorted(f"{fault.pointer} {fault.code}" for fault in told)


def test_every_fault_of_a_form_is_told_at_its_place() -> None:
    wrong = {
        "inner": {"code": SECRET.upper(), "many": [1, 2, 3], SECRET: 1},
        "kind": SECRET,
        "at": "2026-09-16T08:30:00",
        "size": 10,
    }
    assert faults_of(wrong) == [
        "/at no-time-zone", "/inner/code too-long", "/inner/many too-many", f"/inner/{SECRET} unknown-field",
        "/kind unknown-value", "/size out-of-range",
    ]  # fmt: skip


@pytest.mark.parametrize("content", [None, [], "text", 1, True])
def test_a_form_that_is_no_object_is_of_the_wrong_type_as_a_whole(content: Any) -> None:
    assert faults_of(content) == [" wrong-type"]


def test_what_is_missing_and_what_is_of_another_type_are_told_apart() -> None:
    assert faults_of({"inner": {"code": "A", "many": "1"}, "at": 5, "size": "1"}) == [
        "/at wrong-type", "/inner/code malformed", "/inner/many wrong-type", "/kind missing", "/size wrong-type",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("path", "written"),
    [
        ((), ""),
        (("a", 0, "b"), "/a/0/b"),
        (("a/b", "m~n", "~1"), "/a~1b/m~0n/~01"),
        (("",), "/"),
        (("x\x00y\n",), "/x\ufffdy\n"),
        (("n" * 65,), "/" + "n" * 64),
    ],
)
def test_a_pointer_is_written_as_rfc_6901_says_and_each_name_is_cut_and_cleaned(
    path: tuple[str | int, ...], written: str
) -> None:
    assert pointer(path) == written


def test_faults_are_sorted_by_place_then_by_word() -> None:
    assert sorted([Fault("/b", "a"), Fault("/a", "z"), Fault("/a", "b")])[0] == Fault("/a", "b")
