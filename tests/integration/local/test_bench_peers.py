"""The bench that sets our consumer beside others runs, and sees that no record is lost."""

from deploy.kafka.topics import delete_topics
from deploy.local.ground import Ground
from tests.bench.peers.__main__ import OURS, PLAIN, SMOKE_RECORDS, SOURCE, measure, summary


async def test_ours_and_plain_aiokafka_answer_every_record_once(ground: Ground) -> None:
    bootstrap = ground.bootstrap_servers
    try:
        runs = await measure(bootstrap, [OURS, PLAIN], SMOKE_RECORDS, 1)
    finally:
        await delete_topics(bootstrap, [SOURCE])
    assert [(run.worker, run.records, run.lost, run.repeated) for run in runs] == [
        (OURS, SMOKE_RECORDS, 0, 0), (PLAIN, SMOKE_RECORDS, 0, 0)
    ]  # fmt: skip
    assert summary(runs)["ratios"]["plain"] > 0
