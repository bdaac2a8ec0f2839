"""The platform on a secured Kafka: dossiers go all their way, and what is refused is told, waited for, and not lost."""

import asyncio
import signal
import sys

import pytest
from cryptography import x509
from prometheus_client.parser import text_string_to_metric_families

from deploy.kafka.acls import Acl, Operation, Resource
from deploy.kafka.principals import ensure_users
from deploy.local.status import status
from deploy.waiting import until
from deploy.watcher.certificates import AUTHORITY, BROKERS, Certificates
from deploy.watcher.metrics import Metrics
from shared.topics import TOPICS, topic_of
from tests.secured.play import SOON_S, Play, of

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_dossiers_go_all_their_way_each_service_as_itself_and_a_subscriber_hears_all(play: Play) -> None:
    played = await play.play(4)
    assert [one.fault for one in played if not one.finished] == []
    assert (play.watcher.gaps, play.watcher.repeats) == (0, 0)
    await until(lambda: _is_level(play), seconds=SOON_S, what="every service to be level")
    verify = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "services.audit", "verify", env=play.stack.environment("audit"),
        stdout=asyncio.subprocess.DEVNULL,
    )  # fmt: skip
    assert await verify.wait() == 0


async def _is_level(play: Play) -> bool:
    """What the operator's status says: notices may still be on their way when a dossier has ended."""
    told: list[str] = []
    return await status([play.stack.directory], told.append) == 0


async def test_when_the_certificates_of_a_real_broker_end_is_told(play: Play) -> None:
    metrics, secrets = Metrics(["-"]), play.stack.ground.secrets
    await Certificates(play.broker("watcher"), metrics).refresh()
    broker, authority = secrets.path("kafka_tls.pem"), secrets.path("kafka_ca.pem")
    for file, dependency in ((broker, BROKERS), (authority, AUTHORITY)):
        told = metrics.registry.get_sample_value(
            "dossier_certificate_not_after_timestamp_seconds", {"dependency": dependency}
        )
        (end,) = {one.not_valid_after_utc for one in x509.load_pem_x509_certificates(file.read_bytes())}
        assert told == end.timestamp(), dependency


async def test_what_may_not_be_written_waits_and_is_told_why(play: Play) -> None:
    def writing(acl: Acl) -> bool:
        return (acl.principal, acl.name, acl.operation) == ("intake", topic_of("intake"), Operation.WRITE)

    async with play.without(writing):
        dossier = await play.file()
        await play.logged(of(play, "intake"), "TopicAuthorizationFailedError: gov.dossier.intake.v1")
        assert not play.watcher.cases[dossier].events
    await play.said(dossier, "CitizenVerified", "CitizenMismatched", "CitizenNotFound")


async def test_a_service_that_may_not_hear_a_topic_any_more_says_so_and_hears_it_once_it_may(play: Play) -> None:
    def hearing(acl: Acl) -> bool:
        return (acl.principal, acl.name) == ("verification", topic_of("intake"))

    async with play.without(hearing):
        dossier = await play.file()
        await play.refused(of(play, "verification"), "TopicAuthorizationFailedError: gov.dossier.intake.v1")
    await play.said(dossier, "CitizenVerified", "CitizenMismatched", "CitizenNotFound")


async def test_a_service_that_may_not_join_its_group_says_so_and_hears_once_it_may(play: Play) -> None:
    def joining(acl: Acl) -> bool:
        return (acl.principal, acl.resource) == ("payment", Resource.GROUP)

    process = of(play, "payment")
    async with play.without(joining):
        dossier = await play.file()
        process.signal(signal.SIGKILL)
        await process.ended()
        await play.refused(process, "GroupAuthorizationFailedError: payment")
        await play.logged(process, "consumer-interrupted")
    await play.said(dossier, "FeeAssessed", "FeeWaived", "FeeReduced")


async def test_a_service_whose_login_is_refused_says_so_and_goes_on_with_the_right_one(play: Play) -> None:
    process, right = of(play, "verification"), play.stack.ground.secrets.kafka_password("verification")
    process.signal(signal.SIGKILL)
    await process.ended()
    async with play.administrator() as admin:
        await ensure_users(admin, {"verification": "another"})
        process.start()
        dossier = await play.file()
        await play.refused(process, "refuses our login")
        await ensure_users(admin, {"verification": right})
    await play.said(dossier, "CitizenVerified", "CitizenMismatched", "CitizenNotFound")
    assert right.encode() not in process.log.read_bytes()


async def test_the_watcher_sees_dossiers_arrive_and_how_full_the_disks_are_with_its_own_login(play: Play) -> None:
    watcher = await play.stack.start_watcher(SYNTHETIC_PERIOD_S="1")

    async def told() -> bool:
        async with play.stack.http.get(f"{watcher.probes}/metrics") as answer:
            samples = [one for family in text_string_to_metric_families(await answer.text()) for one in family.samples]
        arrived = sum(one.value for one in samples if one.labels.get("outcome") == "ok")
        topics = {one.labels["topic"] for one in samples if one.name == "dossier_kafka_topic_bytes"}
        return arrived > 0 and topics == TOPICS.keys()

    try:
        await until(told, seconds=SOON_S, what="a synthetic dossier to arrive, and the disks to be told")
    finally:
        watcher.signal(signal.SIGTERM)
        await watcher.ended()
        play.stack.processes.remove(watcher)
