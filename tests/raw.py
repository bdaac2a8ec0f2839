"""Records as any program could send them that speaks Kafka's protocol: bytes that a broker takes and no library writes.

Record batch format 2, https://kafka.apache.org/documentation/#recordbatch
"""

import asyncio
import gzip
import struct
from collections.abc import Callable, Mapping, Sequence
from time import time

from aiokafka.client import AIOKafkaClient
from aiokafka.errors import for_code
from aiokafka.protocol.produce import ProduceRequest
from aiokafka.record.util import calc_crc32c
from aiokafka.structs import TopicPartition

Headers = Sequence[tuple[bytes, bytes | None]]

PATIENCE_S = 60.0
_NO_LEADER_YET = (3, 5, 6)
"""Unknown topic, leader not available, not the leader: a topic that was made a moment ago."""


def varint(number: int) -> bytes:
    """A number as the protocol's zigzag varint."""
    raw = (number << 1) ^ (number >> 63)
    made = bytearray()
    while raw > 0x7F:
        made.append(raw & 0x7F | 0x80)
        raw >>= 7
    made.append(raw)
    return bytes(made)


def spilling(number: int) -> bytes:
    """A small number as a varint that has a bit beyond the 32nd, which a broker drops."""
    raw = (number << 1) ^ (number >> 63)
    return bytes([raw & 0x7F | 0x80, raw >> 7 & 0x7F | 0x80, raw >> 14 & 0x7F | 0x80, raw >> 21 & 0x7F | 0x80, 0x10])


def record(
    key: bytes | None,
    value: bytes | None,
    headers: Headers = (),
    *,
    attributes: int = 0,
    place: int = 0,
    lengths: Callable[[int], bytes] = varint,
) -> bytes:
    """One record, `place` records behind the first of its batch."""

    def part(content: bytes | None) -> bytes:
        return varint(-1) if content is None else lengths(len(content)) + content

    told = b"".join(part(name) + part(content) for name, content in headers)
    body = bytes([attributes]) + varint(0) + varint(place) + part(key) + part(value) + varint(len(headers)) + told
    return varint(len(body)) + body


def batch(*records: bytes, codec: str = "none", first: int = 0, last: int | None = None) -> bytes:
    """A whole batch of them, from now; `first` and `last`: its offsets, as a broker may have set them."""
    number, compress = CODECS[codec]
    at = int(time() * 1000)
    places = len(records) if last is None else last - first + 1
    counted = struct.pack(">hiqqqhii", number, places - 1, at, at, -1, -1, -1, len(records))
    body = counted + compress(b"".join(records))
    return struct.pack(">qiibI", first, len(body) + 9, -1, 2, calc_crc32c(body)) + body


async def send(bootstrap: str, topic: str, partition: int, sent: bytes) -> int:
    """The offset that the broker gave to the batch's first record. Raises the KafkaError with which it refuses."""
    client = AIOKafkaClient(bootstrap_servers=bootstrap)
    await client.bootstrap()
    try:
        await client.add_topic(topic)
        async with asyncio.timeout(PATIENCE_S):
            return await _sent(client, TopicPartition(topic, partition), sent)
    finally:
        await client.close()


async def _sent(client: AIOKafkaClient, place: TopicPartition, sent: bytes) -> int:
    while True:
        leader = client.cluster.leader_for_partition(place)
        request = ProduceRequest(None, -1, 10_000, [(place.topic, [(place.partition, sent)])])
        answer = await client.send(leader, request)
        ((_, ((_, code, offset, *_),)),) = answer.topics
        if not code:
            return int(offset)
        if code not in _NO_LEADER_YET:
            raise for_code(code)(f"{place.topic}/{place.partition}")
        await client.force_metadata_update()


def _snappy(plain: bytes) -> bytes:
    """https://github.com/google/snappy/blob/main/format_description.txt: all of it as one literal."""
    size, preamble = len(plain), bytearray()
    while size > 0x7F:
        preamble.append(size & 0x7F | 0x80)
        size >>= 7
    return bytes(preamble) + bytes([size, 62 << 2]) + (len(plain) - 1).to_bytes(3, "little") + plain


def _lz4(plain: bytes) -> bytes:
    """https://github.com/lz4/lz4/blob/dev/doc/lz4_Frame_format.md: one block that is stored, of at most 64 KiB."""
    return b"\x04\x22\x4d\x18\x60\x40\x82" + struct.pack("<I", len(plain) | 1 << 31) + plain + bytes(4)


def _zstd(plain: bytes) -> bytes:
    """RFC 8878: one raw block, the last, of at most 128 KiB."""
    return b"\x28\xb5\x2f\xfd\x00\x38" + (len(plain) << 3 | 1).to_bytes(3, "little") + plain


CODECS: Mapping[str, tuple[int, Callable[[bytes], bytes]]] = {
    "none": (0, lambda plain: plain),
    "gzip": (1, gzip.compress),
    "snappy": (2, _snappy),
    "lz4": (3, _lz4),
    "zstd": (4, _zstd),
}
"""Name → number in the protocol, and how to compress (three of them without any codec: by storing)."""
