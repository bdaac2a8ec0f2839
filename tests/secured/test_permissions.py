"""Every principal is tried on every topic and group: it may do what the platform's page of topics says, and no more."""

import dataclasses
import ssl

import pytest
from aiokafka.errors import SaslAuthenticationFailed

from deploy.kafka.acls import ADMIN, Acl, Operation, Resource, table
from deploy.kafka.certificates import new_authority
from deploy.kafka.principals import ensure_acls, ensure_users, present_acls
from deploy.kafka.provision import provision
from deploy.waiting import until
from shared.runtime.kafka.clients import Broker, Login
from shared.services import Keys, holders
from shared.topics import KEYS
from tests.secured.asking import GROUPS, PRINCIPALS, SUBSCRIBER, client, does, entrance, joins, may, reads, writes
from tests.secured.play import Play

pytestmark = pytest.mark.asyncio(loop_scope="session")


@pytest.mark.parametrize("who", PRINCIPALS)
async def test_a_principal_may_do_what_it_must_and_no_more(who: str, play: Play) -> None:
    async with client(play.broker(who)) as asking:
        assert await does(asking) == may(who)
        own = {who, *(["subscriber.reports"] if who == SUBSCRIBER else GROUPS if who == ADMIN else [])}
        assert {group for group in GROUPS if await joins(asking, group)} == own & set(GROUPS)


async def test_only_intake_writes_data_keys_and_only_who_opens_them_reads_them() -> None:
    rows = {(acl.principal, acl.operation) for acl in table() if acl.name == KEYS.name}
    readers = {(who, Operation.READ) for who in holders(Keys.MAKES, Keys.READS)}
    assert rows == {("intake", Operation.WRITE)} | readers


async def test_whom_the_cluster_does_not_know_it_does_not_let_in(play: Play) -> None:
    known = play.broker("intake")
    assert known.login is not None
    for wrong in (
        dataclasses.replace(known.login, password="wrong"),  # noqa: S106
        dataclasses.replace(known.login, username="nobody"),
        dataclasses.replace(known.login, username="broker"),
    ):
        assert await entrance(dataclasses.replace(known, login=wrong)) is SaslAuthenticationFailed
    assert await entrance(known) is None


async def test_nobody_is_let_in_without_a_name(play: Play) -> None:
    assert await entrance(Broker(play.stack.ground.bootstrap_servers)) is not None


async def test_a_cluster_of_another_authority_or_under_another_name_is_not_told_a_password(play: Play) -> None:
    known = play.broker("intake")
    assert known.login is not None
    foreign = Login.of("intake", known.login.password, new_authority()[0])
    assert await entrance(dataclasses.replace(known, login=foreign)) is ssl.SSLCertVerificationError
    elsewhere = known.bootstrap.replace("127.0.0.1", "127.1")  # the same address by another name
    assert await entrance(dataclasses.replace(known, bootstrap=elsewhere)) is ssl.SSLCertVerificationError


async def test_provisioning_again_changes_nothing(play: Play) -> None:
    told = await provision(play.broker(ADMIN), play.stack.ground.secrets.kafka_password)
    assert "topics created: none" in told
    assert "ACLs: 0 added, 0 removed" in told


async def test_a_permission_that_is_not_in_the_table_is_taken_away_and_others_topics_are_left_alone(play: Play) -> None:
    stray = {
        Acl("payment", Resource.TOPIC, "gov.dossier.intake.v1", Operation.WRITE),
        Acl("stranger", Resource.TOPIC, "gov.", Operation.READ, prefixed=True),
        Acl("intake", Resource.GROUP, "audit", Operation.READ),
    }
    elsewhere = {Acl("stranger", Resource.TOPIC, "weather", Operation.READ)}
    async with play.administrator() as admin:
        assert (await ensure_acls(admin, table() | stray | elsewhere)).added == 4
        changes = await ensure_acls(admin, table())
        assert (changes.added, changes.removed) == (0, 3)

        async def only_elsewhere() -> bool:  # what a broker tells is a moment behind its controller
            told = await present_acls(admin)
            return {name for _, name, _, principal, *_ in told if principal == "User:stranger"} == {"weather"}

        await until(only_elsewhere, seconds=30, what="the stray permissions to be gone, and only these")


async def test_a_downstream_system_of_its_own_name_is_let_in_and_its_password_can_be_changed(play: Play) -> None:
    login = play.broker(SUBSCRIBER).login
    assert login is not None
    reports = dataclasses.replace(login, username="reports", password="first")  # noqa: S106
    async with play.administrator() as admin:
        await ensure_users(admin, {"reports": "first"})
        assert (await ensure_acls(admin, table([SUBSCRIBER, "reports"]))).added == 6
        async with client(dataclasses.replace(play.broker(ADMIN), login=reports)) as asking:
            assert await reads(asking, "gov.dossier.intake.v1")
            assert not await writes(asking, "gov.dossier.intake.v1")
            assert (await joins(asking, "reports.daily"), await joins(asking, "subscriber.daily")) == (True, False)
        await ensure_users(admin, {"reports": "second"})
        assert await entrance(dataclasses.replace(play.broker(ADMIN), login=reports)) is SaslAuthenticationFailed
        assert (await ensure_acls(admin, table())).removed == 5, "its topics; its group is nobody else's"
