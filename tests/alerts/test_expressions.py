"""Every expression of every dashboard finds something in a real Prometheus that watches the platform at work."""

from pathlib import Path

import pytest

from deploy.grafana.table import DASHBOARDS
from deploy.waiting import until
from tests.alerts.server import prometheus
from tests.e2e.proofs.play import SOON_S, Play
from tests.e2e.proofs.test_metrics import all_played
from tests.e2e.proofs.test_watcher import arrived, watcher

pytestmark = pytest.mark.asyncio(loop_scope="session")

EXPRESSIONS = tuple(
    dict.fromkeys(query.expr for board in DASHBOARDS for panel in board.panels for query in panel.queries)
)


async def test_every_expression_finds_something_in_a_real_prometheus(play: Play, tmp_path: Path) -> None:
    async with watcher(play), prometheus(tmp_path, play.stack.processes, play.http) as server:
        await all_played(play, first=94)
        await arrived(play, 1)
        status, _ = await play.ask(play.stack.of("payment")[0], "/v1/payments/vnpay/ipn")
        assert status == 200, "a refusal is told in the bank's way"
        empty: list[str] = []

        async def none_is_empty() -> bool:
            empty[:] = [expression for expression in EXPRESSIONS if not await server.ask(expression)]
            return not empty

        try:
            await until(none_is_empty, seconds=SOON_S, what="every expression to find something")
        except TimeoutError:
            raise AssertionError("found nothing:\n" + "\n".join(empty)) from None
