"""Sends prepared requests to the desk and writes down when each was sent and answered. A process of its own, so that
what it costs can be stated apart.

`python -m tests.bench.load REQUESTS.jsonl ANSWERS.jsonl URL[,URL] --connections N [--rate PER_SECOND]`

With a rate, requests are due at even distances whatever the desk does (open loop), and times run from when each was
due; without one, each connection sends its next request as soon as it has its answer.
"""

import argparse
import asyncio
import json
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import httptools
import orjson
import uvloop


@dataclass(slots=True)
class Answer:
    """One request's fate. Times are seconds since the epoch; `dossier_id` only of a 2xx."""

    due: float
    answered: float
    status: int
    dossier_id: str | None


class Connection(asyncio.Protocol):
    """HTTP/1.1 over one kept connection, one request at a time."""

    def __init__(self) -> None:
        self._answer: asyncio.Future[tuple[int, bytes]] | None = None
        self._body = bytearray()
        self._parser = httptools.HttpResponseParser(self)

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # what a stream has
        self._transport = transport

    def connection_lost(self, exc: Exception | None) -> None:
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(exc or ConnectionResetError("the desk closed the connection"))

    def data_received(self, data: bytes) -> None:
        self._parser.feed_data(data)

    def on_body(self, body: bytes) -> None:
        self._body += body

    def on_message_complete(self) -> None:
        assert self._answer is not None
        self._answer.set_result((self._parser.get_status_code(), bytes(self._body)))

    async def ask(self, request: bytes) -> tuple[int, bytes]:
        """Status and body. Raises OSError."""
        self._answer = asyncio.get_running_loop().create_future()
        self._body.clear()
        self._parser = httptools.HttpResponseParser(self)
        self._transport.write(request)
        return await self._answer


def requests(file: Path) -> list[bytes]:
    """The requests of a file of lines {path, token, key, body}, ready to be sent."""
    return [_request(orjson.loads(line)) for line in file.read_bytes().splitlines()]


def _request(line: dict[str, str]) -> bytes:
    body = line["body"].encode()
    head = (
        f"POST {line['path']} HTTP/1.1\r\nHost: desk\r\nAuthorization: Bearer {line['token']}\r\n"
        f"Idempotency-Key: {line['key']}\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


async def send(urls: Sequence[str], waiting: Sequence[bytes], connections: int, rate: float | None) -> list[Answer]:
    """Send everything and return the answers in order."""
    answers: list[Answer | None] = [None] * len(waiting)
    begun = time.time()
    numbers = iter(range(len(waiting)))
    await asyncio.gather(
        *(_lane(urls[n % len(urls)], waiting, numbers, answers, begun, rate) for n in range(connections))
    )
    return [answer for answer in answers if answer is not None]


async def _lane(
    url: str, waiting: Sequence[bytes], numbers: Iterator[int], answers: list[Answer | None], begun: float,
    rate: float | None,
) -> None:  # fmt: skip
    host, _, port = urlsplit(url).netloc.partition(":")
    _, connection = await asyncio.get_running_loop().create_connection(Connection, host, int(port))
    for n in numbers:
        due = time.time() if rate is None else begun + n / rate
        await asyncio.sleep(max(0.0, due - time.time()))
        status, body = await connection.ask(waiting[n])
        dossier = orjson.loads(body)["dossier_id"] if status == 201 else None
        answers[n] = Answer(due, time.time(), status, dossier)


def main() -> None:
    """Send what the command line names; the answers' file is written at the end."""
    parser = argparse.ArgumentParser("tests.bench.load")
    parser.add_argument("requests", type=Path)
    parser.add_argument("answers", type=Path)
    parser.add_argument("urls")
    parser.add_argument("--connections", type=int, default=64)
    parser.add_argument("--rate", type=float)
    asked = parser.parse_args()
    waiting = requests(asked.requests)
    answers = uvloop.run(send(asked.urls.split(","), waiting, asked.connections, asked.rate))
    with asked.answers.open("w") as file:
        for one in answers:
            file.write(json.dumps([one.due, one.answered, one.status, one.dossier_id]) + "\n")


if __name__ == "__main__":
    main()
