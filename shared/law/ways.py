"""The ways in which an applicant can be reached: what each is called and needs, and which a channel asks for. Pure.

The person may be told by e-mail, by telephone, by post, or when they come back to the counter at which they filed.
"""

from collections.abc import Container, Mapping
from types import MappingProxyType
from typing import NamedTuple

from shared.law.entries import Locale


class Way(NamedTuple):
    """One way: its name in both languages, and the field of the applicant's data that it needs, if any."""

    name_vi: str
    name_en: str
    field: str | None

    def name(self, locale: Locale) -> str:
        """The name in the reader's language."""
        return self.name_vi if locale == "vi" else self.name_en


WAYS: Mapping[str, Way] = MappingProxyType(
    {
        "email": Way("thư điện tử", "e-mail", "email"),
        "phone": Way("điện thoại", "telephone", "phone"),
        "post": Way("bưu chính", "post", "postal_address"),
        "counter": Way("tại quầy", "at the counter", None),
    }
)
"""Word of a way, as events name it → the way; the one to try first stands first."""

FIELDS = tuple(way.field for way in WAYS.values() if way.field is not None)
"""The fields of the applicant's data by which a person can be reached."""

REQUIRED: Mapping[str, tuple[str, ...]] = MappingProxyType({"direct": (), "online": ("email", "phone"), "postal": ()})
"""Channel → the fields that it cannot do without: who files online is answered online, and is called if that fails."""


def ways(channel: str, given: Container[str]) -> tuple[str, ...]:
    """The ways in which somebody who filed through `channel` and has `given` these fields can be reached; may be none,
    for a letter needs an address.
    """
    return tuple(
        word for word, way in WAYS.items() if (way.field in given if way.field is not None else channel == "direct")
    )
