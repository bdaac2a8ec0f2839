"""Each test meets outside systems of its own, started as processes and ended after it; only tests that leave them as
they found them share one.
"""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from deploy.simulators.process import Simulators
from tests.contract.simulators.outside import PEOPLE, SECRET, Merchant


@pytest_asyncio.fixture
async def register(tmp_path: Path) -> AsyncIterator[Simulators]:
    async with Simulators(tmp_path / "outside", PEOPLE, only=["register"]) as outside:
        yield outside


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shared_register(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Simulators]:
    async with Simulators(tmp_path_factory.mktemp("shared") / "outside", PEOPLE, only=["register"]) as outside:
        yield outside


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shared_bank(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Simulators]:
    """A bank that has nobody to call back."""
    folder = tmp_path_factory.mktemp("shared") / "outside"
    async with Simulators(folder, PEOPLE, vnpay_secret=SECRET, only=["bank"]) as outside:
        yield outside


@pytest_asyncio.fixture
async def merchant() -> AsyncIterator[Merchant]:
    async with Merchant() as merchant:
        yield merchant


@pytest_asyncio.fixture
async def bank(tmp_path: Path, merchant: Merchant) -> AsyncIterator[Simulators]:
    """A bank that calls `merchant` back and waits little between attempts."""
    folder = tmp_path / "outside"
    async with Simulators(folder, PEOPLE, ipn_url=merchant.url, vnpay_secret=SECRET, only=["bank"]) as outside:
        await outside.control("bank", retry_base_ms=20, retry_cap_ms=100)
        yield outside


@pytest_asyncio.fixture
async def post(tmp_path: Path) -> AsyncIterator[Simulators]:
    async with Simulators(tmp_path / "outside", PEOPLE, only=["smtp"]) as outside:
        yield outside
