"""A changed past stops its shard, an unsealed personal field does not pass, a dying server is seen."""

import asyncio
import base64
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from uuid import UUID, uuid4

import asyncpg
import pytest

from deploy.local.ground import Ground
from deploy.postgres.provision import Databases
from services.intake.api import seal_applicant
from shared.errors import Unavailable
from shared.law.application import Applicant
from shared.runtime.keys.sealing import new_data_key, unseal
from tests.integration.runtime.log import Log, record_of
from tests.integration.runtime.stage import Stage, command
from tests.integration.runtime.toy import NAME, dossiers

FIRST, SECOND = dossiers(3, 2)
LOOP_TURNS = 100
"""Far more than it takes until what is written to a local socket has been read from it."""

LAST_WORD = b"SFATAL\x00VFATAL\x00C57P02\x00Mterminating connection because of crash of another server process\x00\x00"


async def test_an_event_that_names_another_previous_stops_its_shard(stage: Stage) -> None:
    log = Log()
    listener = stage.listener()
    await listener.prepare()
    await listener.handle([log.say(FIRST, "one")])
    forked = record_of(SECOND, "two", 2, 1)
    headers = tuple((name, str(uuid4()).encode() if name == "ce_previous" else value) for name, value in forked.headers)
    await listener.handle([replace(forked, headers=headers)])
    assert {key: stop.upto for key, stop in listener.stopped.items()} == {("intake", 3): 2}
    assert (await stage.said(FIRST), await stage.said(SECOND)) == (["0|one"], [])


async def test_no_field_of_the_applicant_can_be_read_without_the_key() -> None:
    applicant = Applicant.model_validate(
        {
            "id_number": "001199000017", "full_name": "Nguyễn Thị An", "date_of_birth": "1999-05-01",
            "phone": "0900000017", "email": "an@example.com", "postal_address": "Phố Huế", "locale": "vi",
        }
    )  # fmt: skip
    key, dossier = new_data_key(), UUID(int=7)
    sealed = seal_applicant(key, dossier, applicant, "online")
    for name in type(applicant).model_fields.keys() - {"locale"}:
        text, clear = getattr(sealed, name), str(getattr(applicant, name))
        box = base64.urlsafe_b64decode(text.removeprefix("sealed.v1.") + "==")
        assert clear.encode() not in box, f"{name} can be read"
        assert unseal(key, dossier, f"applicant.{name}", text) == clear
        with pytest.raises(ValueError, match="does not open"):
            unseal(new_data_key(), dossier, f"applicant.{name}", text)


async def test_what_the_applicant_has_not_given_is_sealed_as_nothing_and_looks_like_any_other_text() -> None:
    person = {"id_number": "001199000017", "full_name": "Nguyễn Thị An", "date_of_birth": "1999-05-01", "locale": "vi"}
    key, dossier = new_data_key(), UUID(int=7)

    sealed = seal_applicant(key, dossier, Applicant.model_validate(person), "direct")

    assert sealed.ways == ("counter",)
    assert sealed.postal_address is None
    for name in ("phone", "email"):
        assert unseal(key, dossier, f"applicant.{name}", getattr(sealed, name)) == ""
        assert len(getattr(sealed, name)) == len(sealed.id_number)


class Relayed:
    """A way to the database that can pass on a dying server's last word and leave the socket open."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._clients: list[asyncio.StreamWriter] = []

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Pass on what one client and the server say."""
        self._clients.append(writer)
        up_reader, up_writer = await asyncio.open_connection("127.0.0.1", self._port)
        await asyncio.gather(_pipe(reader, up_writer), _pipe(up_reader, writer))

    def last_word(self) -> None:
        """Tell every client that the server is going."""
        for writer in self._clients:
            writer.write(b"E" + (len(LAST_WORD) + 4).to_bytes(4, "big") + LAST_WORD)


async def _pipe(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while data := await reader.read(65536):
            writer.write(data)
    except OSError:
        return
    finally:
        writer.close()


@asynccontextmanager
async def _relayed(ground: Ground, databases: Databases) -> AsyncIterator[tuple[Relayed, str]]:
    assert ground.postgres is not None
    relayed = Relayed(ground.postgres.port)
    server = await asyncio.start_server(relayed.serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with server:
        yield relayed, databases.url(NAME).replace(f":{ground.postgres.port}/", f":{port}/")


async def test_a_connection_whose_server_has_said_farewell_is_a_lost_one(
    stage: Stage, ground: Ground, module_databases: Databases
) -> None:
    async with (
        _relayed(ground, module_databases) as (relayed, url),
        asyncpg.create_pool(url, min_size=1, max_size=1, server_settings={"jit": "off"}) as pool,
    ):
        engine = stage.engine()
        engine.pool = pool
        await engine.handle([command(FIRST, "one")])
        relayed.last_word()
        for _ in range(LOOP_TURNS):
            await asyncio.sleep(0)
        (met,) = await asyncio.gather(engine.handle([command(FIRST, "two")]), return_exceptions=True)
        assert isinstance(met, Unavailable)
        pool.terminate()
