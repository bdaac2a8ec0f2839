"""What a broker hands out, read as the broker reads it: no record that it took from anybody may stop a reader of ours.

aiokafka 0.14 raises for records that a broker accepts: a header's name that is not UTF-8, attributes of a record beyond
127 (one byte, which it takes for a varint), a length whose varint has bits beyond the 32nd (which the broker drops).
And it believes a record that lies about its offset, behind which Faust drops all that follows. Every reader of the
partition would meet such a record again for ever. So where the compiled parser raises, or a record is not where its
batch can have it, and only there, the batch is parsed once more, here.

A name that is not UTF-8 comes with `surrogateescape`; `shared.runtime.store.headers` gives its bytes back as they were.

Upstream: aiokafka issue 321 (open since 2018): a record that its parser refuses stops a consumer for good. What it
refuses and brokers take (names of headers, attributes, long varints) has no issue of its own.
Looked at: aiokafka 0.14.0 (record/default_records.py, also compiled), which is also its main branch of 2026-04-29.
Goes when: aiokafka reads whatever Kafka's own client reads. The names of aiokafka that this rests on are private: its
version is pinned, and a unit test reads such records through its fetcher.
"""

from collections.abc import Iterator
from itertools import islice
from typing import Any

from aiokafka.consumer import fetcher
from aiokafka.errors import CorruptRecordException
from aiokafka.record.default_records import _DefaultRecordBatchPy, _DefaultRecordPy
from aiokafka.record.memory_records import _MemoryRecordsPy


def read_as_the_broker() -> None:
    """From now on every consumer of this process, Faust's too, reads what is fetched through this module."""
    fetcher.MemoryRecords = _Fetched


class _Fetched(_MemoryRecordsPy):  # type: ignore[misc]
    """The batches fetched of one partition."""

    def next_batch(self) -> "_Batch":
        piece = self._next_slice
        return _Batch(piece, super().next_batch())


class _Batch:
    """aiokafka's own batch, except that what its parser refuses comes from ours."""

    def __init__(self, piece: memoryview, compiled: Any) -> None:
        self._piece = piece
        self._compiled = compiled

    def __getattr__(self, name: str) -> Any:
        return getattr(self._compiled, name)

    def __next__(self) -> Any:
        return next(self._compiled)

    def __iter__(self) -> Iterator[Any]:
        done, offset, end = 0, self._compiled.base_offset, self._compiled.next_offset
        try:
            for record in self._compiled:
                if not offset <= record.offset < end:
                    raise CorruptRecordException(f"offset {record.offset} in a batch from {offset} to {end}")
                yield record
                done, offset = done + 1, record.offset + 1
        except (UnicodeDecodeError, CorruptRecordException):
            yield from islice(_AsTheBroker(self._piece), done, None)


class _AsTheBroker(_DefaultRecordBatchPy):  # type: ignore[misc]
    """A batch of format 2, the only one that brokers from 4.0 on hand out. A tenth as fast as the compiled one."""

    def _read_msg(self) -> Any:
        size = self._varint(32)
        end = self._pos + size
        self._pos += 1  # attributes: none is in use
        at = self.first_timestamp + self._varint(64)
        offset = self._offset(self._varint(32))
        key, value = self._bytes(), self._bytes()
        headers = [(self._name(), self._bytes()) for _ in range(self._varint(32))]
        if self._pos != end:
            raise CorruptRecordException(f"a record of {size} bytes ends {end - self._pos} bytes before its end")
        return _DefaultRecordPy(
            offset, self.max_timestamp if self.timestamp_type else at, self.timestamp_type, key, value, headers
        )

    def _offset(self, told: int) -> int:
        """The broker counts; what the record says of its place matters only where compaction has left holes."""
        first: int = self.base_offset
        last: int = self.last_offset_delta
        count: int = self._num_records
        done: int = self._next_record_index
        return first + (done if count == last + 1 else min(told, last))

    def _varint(self, bits: int) -> int:
        raw = shift = 0
        while True:
            byte: int = self._buffer[self._pos]
            self._pos += 1
            raw |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                break
        raw &= (1 << bits) - 1
        return (raw >> 1) ^ -(raw & 1)

    def _bytes(self) -> bytes | None:
        size = self._varint(32)
        if size < 0:
            return None
        self._pos += size
        return bytes(self._buffer[self._pos - size : self._pos])

    def _name(self) -> str:
        return (self._bytes() or b"").decode("utf-8", "surrogateescape")
