"""Citizens who pay: hears the payment topic and opens each page that it names. A process of its own.

`python -m tests.bench.payer BOOTSTRAP`; ends when its standard input closes.
"""

import asyncio
import sys

import aiohttp
import orjson
import uvloop
from aiokafka import AIOKafkaConsumer

AT_ONCE = 16


async def pay(bootstrap: str) -> None:
    """Pay whatever is asked for from now on."""
    topic = "gov.dossier.payment.v1"
    consumer = AIOKafkaConsumer(topic, bootstrap_servers=bootstrap, fetch_max_wait_ms=50)
    await consumer.start()
    await consumer.seek_to_end()
    pages: asyncio.Queue[str] = asyncio.Queue()
    async with aiohttp.ClientSession() as http:
        payers = [asyncio.create_task(_payer(http, pages)) for _ in range(AT_ONCE)]
        print("ready", flush=True)
        reading = asyncio.create_task(_read(consumer, pages))
        ending = asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
        await asyncio.wait([reading, *payers, asyncio.ensure_future(ending)], return_when=asyncio.FIRST_COMPLETED)
        for task in (reading, *payers):
            if task.done():
                task.result()
            task.cancel()
    await consumer.stop()


async def _read(consumer: AIOKafkaConsumer, pages: "asyncio.Queue[str]") -> None:
    async for record in consumer:
        if dict(record.headers)["ce_type"] == b"vn.gov.dossier.payment-requested.v1":
            pages.put_nowait(orjson.loads(record.value)["pay_url"])


async def _payer(http: aiohttp.ClientSession, pages: "asyncio.Queue[str]") -> None:
    while True:
        async with http.post(await pages.get(), headers={"accept": "application/json"}) as answer:
            answer.raise_for_status()


if __name__ == "__main__":
    uvloop.run(pay(sys.argv[1]))
