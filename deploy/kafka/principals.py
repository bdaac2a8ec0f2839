"""Gives a secured cluster the principals and permissions of `deploy/kafka/acls.py`, as often as it is run."""

import hashlib
import secrets
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import for_code

from deploy.kafka.acls import Acl, Resource
from deploy.kafka.requests import ALTER_SCRAM, CREATE_ACLS, DELETE_ACLS, DESCRIBE_ACLS, ask
from shared.topics import TOPICS

ITERATIONS = 8192
_SCRAM_SHA_512 = 2
_ANY = 1
_LITERAL, _PREFIXED = 3, 4
_ALLOW = 3
_EVERY_HOST = "*"
_USER = "User:"

Binding = tuple[int, str, int, str, str, int, int]
"""As Kafka has it: kind and name of the resource, pattern, principal, host, operation, permission."""


@dataclass(frozen=True, slots=True)
class Changes:
    """ACLs that were added and taken away."""

    added: int
    removed: int


async def ensure_users(admin: AIOKafkaAdminClient, passwords: Mapping[str, str]) -> None:
    """Principal → its password from now on (SCRAM-SHA-512); a login under way goes on. Raises KafkaError."""
    answer = await ask(admin, ALTER_SCRAM, [], [_salted(*each) for each in passwords.items()], {})
    for user, code, message, _ in answer.results:
        _raise_if(code, f"principal {user}: {message}")


def _salted(name: str, password: str) -> tuple[Any, ...]:
    salt = secrets.token_bytes(32)
    salted = hashlib.pbkdf2_hmac("sha512", password.encode(), salt, ITERATIONS)
    return name, _SCRAM_SHA_512, ITERATIONS, salt, salted, {}


async def ensure_acls(admin: AIOKafkaAdminClient, wanted: Collection[Acl]) -> Changes:
    """Add what is missing of `wanted` and take away what is too much: of its principals, and on our topics anybody's.

    What others may do elsewhere on the cluster stays. Raises KafkaError.
    """
    right = {_binding(acl) for acl in wanted}
    names = {acl.principal for acl in wanted}
    present = set(await _present(admin))
    missing, wrong = right - present, {one for one in present - right if _is_ours(one, names)}
    # First what is missing: a permission that only changes its form is not lost for a moment.
    await _each(admin, CREATE_ACLS, missing)
    await _each(admin, DELETE_ACLS, wrong)
    return Changes(len(missing), len(wrong))


async def present_acls(admin: AIOKafkaAdminClient) -> frozenset[Binding]:
    """Every ACL of the cluster, as Kafka has it. Raises KafkaError."""
    return frozenset(await _present(admin))


async def _present(admin: AIOKafkaAdminClient) -> Iterable[Binding]:
    answer = await ask(admin, DESCRIBE_ACLS, _ANY, None, _ANY, None, None, _ANY, _ANY)
    _raise_if(answer.error_code, f"ACLs: {answer.error_message}")
    return [(*resource, *acl) for *resource, acls in answer.resources for acl in acls]


async def _each(admin: AIOKafkaAdminClient, request: Any, bindings: Collection[Binding]) -> None:
    if not bindings:
        return
    answer = await ask(admin, request, sorted(bindings))
    for binding, (code, message, *_) in zip(sorted(bindings), answer.results, strict=True):
        _raise_if(code, f"ACL of {binding[3]} on {binding[1]}: {message}")


def _binding(acl: Acl) -> Binding:
    pattern = _PREFIXED if acl.prefixed else _LITERAL
    principal = f"{_USER}{acl.principal}"
    return (int(acl.resource), acl.name, pattern, principal, _EVERY_HOST, int(acl.operation), _ALLOW)


def _is_ours(binding: Binding, names: Collection[str]) -> bool:
    """Whether it is of a principal of the table, or about one of our topics."""
    kind, name, pattern, principal, *_ = binding
    about = kind == Resource.TOPIC and any(_covers(name, pattern, topic) for topic in TOPICS)
    return about or principal.removeprefix(_USER) in names


def _covers(name: str, pattern: int, topic: str) -> bool:
    return name in ("*", topic) if pattern == _LITERAL else topic.startswith(name)


def _raise_if(code: int, told: str) -> None:
    if code:
        raise for_code(code)(told)
