"""Requests about ACLs and SCRAM users, which aiokafka's admin client does not know: their forms, from Kafka's protocol.

https://kafka.apache.org/protocol, in versions that brokers from 2.7 to 4 understand.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.protocol.api import RequestStruct, Response
from aiokafka.protocol.types import (
    Array,
    Boolean,
    CompactArray,
    CompactBytes,
    CompactString,
    Int8,
    Int16,
    Int32,
    Int64,
    Schema,
    String,
    TaggedFields,
)

_RESOURCE = (("kind", Int8), ("name", String()), ("pattern", Int8))
_WHO = (("principal", String()), ("host", String()), ("operation", Int8), ("permission", Int8))
_OUTCOME = (("error_code", Int16), ("error_message", String()))
_THROTTLE = ("throttle_time_ms", Int32)
_TAGS = ("tags", TaggedFields)
_USER = ("user", CompactString())


def _request(key: int, version: int, asks: Schema, answers: Schema, flexible: bool = False) -> Any:
    of_both = {"API_KEY": key, "API_VERSION": version}
    response = type("Answer", (Response,), {**of_both, "SCHEMA": answers})
    more = {"SCHEMA": asks, "RESPONSE_TYPE": response, "FLEXIBLE_VERSION": flexible}
    return type("Ask", (RequestStruct,), {**of_both, **more})


DESCRIBE_ACLS = _request(
    29, 1,
    asks=Schema(*_RESOURCE, *_WHO),
    answers=Schema(_THROTTLE, *_OUTCOME, ("resources", Array(*_RESOURCE, ("acls", Array(*_WHO))))),
)  # fmt: skip
CREATE_ACLS = _request(
    30, 1,
    asks=Schema(("acls", Array(*_RESOURCE, *_WHO))),
    answers=Schema(_THROTTLE, ("results", Array(*_OUTCOME))),
)  # fmt: skip
DELETE_ACLS = _request(
    31, 1,
    asks=Schema(("acls", Array(*_RESOURCE, *_WHO))),
    answers=Schema(
        _THROTTLE, ("results", Array(*_OUTCOME, ("deleted", Array(*_OUTCOME, *_RESOURCE, *_WHO))))
    ),
)  # fmt: skip
ALTER_SCRAM = _request(
    51, 0,
    asks=Schema(
        ("deletions", CompactArray(_USER, ("mechanism", Int8), _TAGS)),
        ("upsertions", CompactArray(
            _USER, ("mechanism", Int8), ("iterations", Int32), ("salt", CompactBytes), ("salted", CompactBytes), _TAGS,
        )),
        _TAGS,
    ),
    answers=Schema(
        _THROTTLE,
        ("results", CompactArray(_USER, ("error_code", Int16), ("error_message", CompactString()), _TAGS)),
        _TAGS,
    ),
    flexible=True,
)  # fmt: skip
DESCRIBE_LOG_DIRS = _request(
    35, 4,
    asks=Schema(
        ("topics", CompactArray(("topic", CompactString()), ("partitions", CompactArray(Int32)), _TAGS)), _TAGS
    ),
    answers=Schema(
        _THROTTLE,
        ("error_code", Int16),
        ("results", CompactArray(
            ("error_code", Int16), ("log_dir", CompactString()),
            ("topics", CompactArray(
                ("name", CompactString()),
                ("partitions", CompactArray(
                    ("partition", Int32), ("size", Int64), ("lag", Int64), ("is_future", Boolean), _TAGS,
                )),
                _TAGS,
            )),
            ("total_bytes", Int64), ("usable_bytes", Int64), _TAGS,
        )),
        _TAGS,
    ),
    flexible=True,
)  # fmt: skip
"""With what is free on the disks (KIP-827): brokers from 3.3 on."""


@dataclass(frozen=True, slots=True)
class _Ready:
    """A request in the one version that we know, whatever the broker offers besides."""

    struct: Any

    def prepare(self, versions: Mapping[int, tuple[int, int]]) -> Any:
        """What is sent; a broker that does not know it says so."""
        return self.struct


async def ask(admin: AIOKafkaAdminClient, request: Any, *values: Any, node: int | None = None) -> Any:
    """The answer of a broker, any or that of this number, to one of these requests. Raises KafkaError."""
    if node is None:
        return await admin._send_request(_Ready(request(*values)))
    return await admin._send_request_to_node(node, _Ready(request(*values)))
