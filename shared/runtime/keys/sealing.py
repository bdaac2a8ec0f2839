"""Personal data under one key per dossier: AES-256-GCM, the dossier and the field as associated data.

Sources: NIST SP 800-38D (GCM, 96-bit nonces drawn at random); RFC 5869 (HKDF);
`cryptography.hazmat.primitives.ciphers.aead`. Sealing happens at the door and in tasks, never in a decision.
"""

import base64
import os
from collections.abc import Callable, Sequence
from uuid import UUID

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from shared.errors import KekNotHere, Misconfigured
from shared.runtime.kernel.message import WrappedKey

_PREFIX = "sealed.v1."
_NONCE_BYTES = 12

BLOCK = 64
"""Texts are filled up to whole blocks of so many bytes, or their length would tell a group or a kind of number."""

_FILLER = b"\xff"
"""Stands in no UTF-8 text, so what was sealed without it opens as ever."""


class Kek:
    """The key-encryption key: wraps and unwraps data keys. `secret` is 32 bytes; `name` tells which one it is."""

    def __init__(self, secret: bytes, name: str = "kek-1") -> None:
        if len(secret) != 32:
            raise Misconfigured("the key-encryption key must be 32 bytes, base64 in its file")
        self.name = name
        self._cipher = AESGCM(secret)

    def wrap(self, dossier_id: UUID, data_key: bytes) -> WrappedKey:
        """`data_key` (32 bytes) encrypted for storage, bound to its dossier."""
        return WrappedKey(dossier_id, self.name, _encrypt(self._cipher, data_key, self._about(dossier_id)))

    def unwrap(self, key: WrappedKey) -> bytes:
        """The data key itself. Raises Misconfigured if it was wrapped under another key-encryption key, or is none."""
        try:
            return _decrypt(self._cipher, key.wrapped, self._about(key.dossier_id))
        except (InvalidTag, ValueError) as error:  # ValueError: too short to be anything
            raise Misconfigured(f"data key of dossier {key.dossier_id} is not under {self.name}") from error

    def _about(self, dossier_id: UUID) -> bytes:
        return f"{self.name}|{dossier_id}".encode()


class Keks:
    """The key-encryption keys of an installation, the oldest first: the newest wraps, each unwraps what lies under it.

    Raises Misconfigured if there is none, or one name for two.
    """

    def __init__(self, keks: Sequence[Kek]) -> None:
        self._by_name = {kek.name: kek for kek in keks}
        if not keks or len(self._by_name) < len(keks):
            raise Misconfigured("secret kek must hold a key-encryption key, and each under a name of its own")
        self._newest = keks[-1]

    @property
    def newest(self) -> str:
        """The name of the one that wraps."""
        return self._newest.name

    @property
    def names(self) -> frozenset[str]:
        """Of all."""
        return frozenset(self._by_name)

    def wrap(self, dossier_id: UUID, data_key: bytes) -> WrappedKey:
        """`data_key` under the newest."""
        return self._newest.wrap(dossier_id, data_key)

    def unwrap(self, key: WrappedKey) -> bytes:
        """The data key itself. Raises KekNotHere if we have not what it lies under, and Misconfigured if ours of that
        name is another one.
        """
        kek = self._by_name.get(key.kek_id)
        if kek is None:
            raise KekNotHere(f"data key of dossier {key.dossier_id}: secret kek has no {key.kek_id}")
        return kek.unwrap(key)


def new_data_key() -> bytes:
    """A fresh 256-bit data key."""
    return AESGCM.generate_key(bit_length=256)


def derived(secret: bytes, purpose: str) -> bytes:
    """The key of 32 bytes that `secret` has for one purpose; none of them tells anything of another (HKDF-SHA256)."""
    return HKDF(SHA256(), 32, salt=None, info=f"dossier/{purpose}".encode()).derive(secret)


def seal_kept(key: bytes) -> tuple[Callable[[bytes], bytes], Callable[[bytes], bytes]]:
    """Seal and open what a dead letter keeps of our own outcomes: AES-256-GCM under a key of the installation."""
    cipher = AESGCM(key)
    return lambda clear: _encrypt(cipher, clear, b"kept"), lambda box: _decrypt(cipher, box, b"kept")


def seal(data_key: bytes, dossier_id: UUID, field: str, text: str) -> str:
    """`text` sealed for one field of one dossier; the form is `shared.events.base.Sealed`.

    Its length tells only how many blocks of 64 bytes the text takes: one for every number, date and group.
    """
    clear = text.encode()
    filled = clear + _FILLER * (-len(clear) % BLOCK if clear else BLOCK)
    box = _encrypt(AESGCM(data_key), filled, f"{dossier_id}|{field}".encode())
    return _PREFIX + base64.urlsafe_b64encode(box).decode().rstrip("=")


def unseal(data_key: bytes, dossier_id: UUID, field: str, sealed: str) -> str:
    """The text again. Raises ValueError if the sealed text was altered, or belongs to another dossier or field."""
    body = sealed.removeprefix(_PREFIX)
    try:
        box = base64.urlsafe_b64decode(body + "=" * (-len(body) % 4))
        return _decrypt(AESGCM(data_key), box, f"{dossier_id}|{field}".encode()).rstrip(_FILLER).decode()
    except InvalidTag as error:
        raise ValueError(f"{field} of dossier {dossier_id} does not open under its key") from error


def _encrypt(cipher: AESGCM, clear: bytes, about: bytes) -> bytes:
    nonce = os.urandom(_NONCE_BYTES)
    return nonce + cipher.encrypt(nonce, clear, about)


def _decrypt(cipher: AESGCM, box: bytes, about: bytes) -> bytes:
    return cipher.decrypt(box[:_NONCE_BYTES], box[_NONCE_BYTES:], about)
