"""A sealed field opens only with its key, for its dossier, as its field, and unaltered."""

import base64
import hmac
from pathlib import Path
from uuid import UUID

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from hypothesis import assume, given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from shared.errors import Misconfigured
from shared.events.base import Sealed
from shared.law.loader import shipped_catalogue
from shared.runtime.kernel.message import WrappedKey
from shared.runtime.keys.sealing import BLOCK, Kek, derived, new_data_key, seal, seal_kept, unseal
from shared.runtime.service.settings import Settings

texts = st.text(max_size=200)
keys = st.binary(min_size=32, max_size=32)
fields = st.sampled_from(["applicant.full_name", "applicant.phone", "waiver_claim.group"])


@given(key=keys, dossier=st.uuids(), field=fields, text=texts)
def test_what_is_sealed_opens_again_and_shows_nothing_meanwhile(
    key: bytes, dossier: UUID, field: str, text: str
) -> None:
    sealed = seal(key, dossier, field, text)
    assert unseal(key, dossier, field, sealed) == text
    assert TypeAdapter(Sealed).validate_python(sealed) == sealed
    assert len(text) < 4 or text not in sealed


@given(key=keys, dossier=st.uuids(), field=fields, text=texts)
def test_the_same_text_is_sealed_differently_each_time(key: bytes, dossier: UUID, field: str, text: str) -> None:
    assert seal(key, dossier, field, text) != seal(key, dossier, field, text)


def test_the_length_of_a_sealed_group_does_not_tell_which_group_it_is() -> None:
    groups = shipped_catalogue().groups
    assert len({len(group) for group in groups}) > 1
    assert len({len(seal(bytes(32), UUID(int=1), "waiver_claim.group", group)) for group in groups}) == 1


@given(first=texts, second=texts)
def test_the_length_of_a_sealed_text_tells_only_its_blocks(first: str, second: str) -> None:
    blocks, lengths = (
        {max(1, -(-len(text.encode()) // BLOCK)) for text in (first, second)},
        {len(seal(bytes(32), UUID(int=1), "applicant.email", text)) for text in (first, second)},
    )
    assert len(blocks) == len(lengths)


@given(key=keys, dossier=st.uuids(), field=fields, text=texts)
def test_what_was_sealed_before_texts_were_filled_up_opens_as_ever(
    key: bytes, dossier: UUID, field: str, text: str
) -> None:
    box = bytes(12) + AESGCM(key).encrypt(bytes(12), text.encode(), f"{dossier}|{field}".encode())
    assert unseal(key, dossier, field, "sealed.v1." + base64.urlsafe_b64encode(box).decode().rstrip("=")) == text


def test_a_key_is_derived_as_rfc_5869_says_and_differs_by_purpose_and_secret() -> None:
    # RFC 5869, 2.2 and 2.3, by hand: no salt, one block of output.
    extracted = hmac.digest(bytes(32), b"s" * 32, "sha256")
    assert derived(b"s" * 32, "kept-outcomes") == hmac.digest(extracted, b"dossier/kept-outcomes\x01", "sha256")
    made = {derived(secret, purpose) for secret in (b"s" * 32, b"t" * 32) for purpose in ("kept-outcomes", "others")}
    assert len(made | {b"s" * 32}) == 5


def test_no_key_of_the_installation_serves_two_purposes(tmp_path: Path) -> None:
    (tmp_path / "request_hmac_key").write_text(base64.b64encode(b"s" * 32).decode())
    settings = Settings(
        kafka_bootstrap_servers="kafka:9092", database_url="postgresql://x@db/x", http_port=1, secrets_dir=tmp_path
    )
    assert len({settings.body_key(), settings.kept_key(), b"s" * 32}) == 3


@given(key=keys, clear=st.binary(max_size=200))
def test_what_a_dead_letter_keeps_opens_to_the_byte_and_shows_nothing(key: bytes, clear: bytes) -> None:
    keep, open_kept = seal_kept(key)
    kept = keep(clear)
    assert open_kept(kept) == clear
    assert len(clear) < 4 or clear not in kept


@given(key=keys, other_key=keys, dossier=st.uuids(), other=st.uuids(), text=texts, other_field=fields)
def test_it_opens_with_no_other_key_dossier_or_field(
    key: bytes, other_key: bytes, dossier: UUID, other: UUID, text: str, other_field: str
) -> None:
    assume(key != other_key and dossier != other and other_field != "applicant.email")
    sealed = seal(key, dossier, "applicant.email", text)
    for wrong in (
        (other_key, dossier, "applicant.email"),
        (key, other, "applicant.email"),
        (key, dossier, other_field),
    ):
        with pytest.raises(ValueError, match="does not open"):
            unseal(*wrong, sealed)


@given(text=texts, data=st.data())
def test_a_single_flipped_bit_is_noticed(text: str, data: st.DataObject) -> None:
    key, dossier = bytes(32), UUID(int=1)
    body = seal(key, dossier, "applicant.email", text).removeprefix("sealed.v1.")
    box = bytearray(base64.urlsafe_b64decode(body + "=" * (-len(body) % 4)))
    bit = data.draw(st.integers(0, len(box) * 8 - 1))
    box[bit // 8] ^= 1 << bit % 8
    flipped = "sealed.v1." + base64.urlsafe_b64encode(bytes(box)).decode().rstrip("=")
    with pytest.raises(ValueError, match="does not open"):
        unseal(key, dossier, "applicant.email", flipped)


@given(length=st.integers(0, 27))
def test_a_text_that_was_cut_off_is_noticed(length: int) -> None:
    cut = "sealed.v1." + base64.urlsafe_b64encode(bytes(length)).decode().rstrip("=")
    with pytest.raises(ValueError, match="."):
        unseal(bytes(32), UUID(int=1), "applicant.email", cut)
    with pytest.raises(ValidationError):
        TypeAdapter(Sealed).validate_python(cut)


@given(secret=keys, other=keys, dossier=st.uuids(), elsewhere=st.uuids())
def test_a_data_key_is_unwrapped_only_under_its_own_kek_and_for_its_own_dossier(
    secret: bytes, other: bytes, dossier: UUID, elsewhere: UUID
) -> None:
    assume(secret != other and dossier != elsewhere)
    key = new_data_key()
    wrapped = Kek(secret).wrap(dossier, key)
    assert Kek(secret).unwrap(wrapped) == key
    assert key not in wrapped.wrapped
    for kek, stolen in (
        (Kek(other), wrapped),
        (Kek(secret, "kek-2"), wrapped),
        (Kek(secret), WrappedKey(elsewhere, wrapped.kek_id, wrapped.wrapped)),
    ):
        with pytest.raises(Misconfigured):
            kek.unwrap(stolen)


@pytest.mark.parametrize("length", [0, 16, 31, 33])
def test_a_kek_of_another_length_is_refused(length: int) -> None:
    with pytest.raises(Misconfigured, match="32 bytes"):
        Kek(bytes(length))


def test_no_two_data_keys_are_equal() -> None:
    assert len({new_data_key() for _ in range(1000)}) == 1000
