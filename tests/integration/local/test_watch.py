"""The listener of demonstration and trials hears on from where it was, whatever a broker that has just started says."""

from deploy.demo.watch import Watcher
from deploy.local.ground import Ground
from tests.ground import empty_topics
from tests.integration.runtime.log import TOPIC, Log
from tests.integration.runtime.toy import dossiers
from tests.integration.runtime.wire import put

(ONE,) = dossiers(4, 1)
SOON_S = 30.0


async def test_a_list_of_topics_that_lacks_one_for_a_moment_moves_no_place(ground: Ground) -> None:
    await empty_topics(ground)
    log = Log()
    await put(ground.bootstrap_servers, log.say(ONE, "before it listens"))
    watcher = Watcher(ground.bootstrap_servers)
    await watcher.start()
    try:
        await put(ground.bootstrap_servers, log.say(ONE, "first"))
        await watcher.until(lambda: watcher.counts.total() == 1, SOON_S, "the first")
        _forget_for_a_moment(watcher)
        await put(ground.bootstrap_servers, log.say(ONE, "second"))
        await watcher.until(lambda: watcher.counts.total() >= 2, SOON_S, "the second")
    finally:
        await watcher.stop()
    assert [event.data["code"] for event in watcher.cases[str(ONE)].events] == ["first", "second"]
    assert (watcher.read_again, watcher.repeats, watcher.gaps) == (0, 0, 0)


def _forget_for_a_moment(watcher: Watcher) -> None:
    """As if a broker had answered that one topic has no leader, and then that it has: what aiokafka does with it."""
    coordinator = watcher._consumer._coordinator
    known = coordinator._cluster._partitions
    gone = known.pop(TOPIC)
    coordinator._handle_metadata_update(coordinator._cluster)
    known[TOPIC] = gone
    coordinator._handle_metadata_update(coordinator._cluster)
