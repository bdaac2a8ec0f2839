"""The mail server, met by an ordinary SMTP client."""

import asyncio
from email.message import EmailMessage

import aiohttp
import aiosmtplib
import pytest

from deploy.simulators.process import Simulators
from tests.contract.simulators.outside import until, until_true

pytestmark = pytest.mark.asyncio


def mail(message_id: str = "<n1@dossier.test>", to: str = "citizen@example.test") -> EmailMessage:
    message = EmailMessage()
    message["From"] = "office@dossier.test"
    message["To"] = to
    message["Subject"] = "Hồ sơ đã được tiếp nhận"
    message["Message-ID"] = message_id
    message["X-Dossier"] = "d-1"
    message.set_content("Kính gửi ông/bà\n.\nmột dòng chỉ có dấu chấm ở trên\n")
    return message


async def send(post: Simulators, message: EmailMessage | None = None, seconds: float = 60) -> str:
    """Sends one mail over a connection of its own; gives the server's last answer."""
    _, answer = await aiosmtplib.send(
        message or mail(), hostname="127.0.0.1", port=post.smtp_port, timeout=seconds, start_tls=False
    )
    return answer


async def test_an_accepted_mail_is_kept_as_a_file_and_listed(post: Simulators) -> None:
    await send(post)
    (line,) = post.mails()
    assert (line["mail_from"], line["rcpt_to"]) == ("office@dossier.test", ["citizen@example.test"])
    assert (line["message_id"], line["subject"]) == ("<n1@dossier.test>", "Hồ sơ đã được tiếp nhận")
    assert (line["headers"], line["repeat"]) == ({"X-Dossier": "d-1"}, False)
    text = (post.mail_folder / "new" / line["file"]).read_bytes()
    assert b"X-Dossier: d-1" in text
    assert post.mail_folder.stat().st_mode & 0o777 == 0o700


async def test_a_second_copy_is_kept_and_counted_by_its_message_id_also_after_a_kill(post: Simulators) -> None:
    await send(post)
    await post.kill("smtp")
    await post.start("smtp")
    await send(post)
    await send(post, mail("<n2@dossier.test>"))
    stats = await post.stats("smtp")
    assert (stats["mails"], stats["different"], stats["repeats"]) == (3, 2, 1)
    assert [line["repeat"] for line in post.mails()] == [False, True, False]


async def test_a_mail_that_a_kill_left_unlisted_is_listed_at_the_next_start(post: Simulators) -> None:
    await post.stop("smtp")
    (post.mail_folder / "new" / "000001-left.eml").write_bytes(mail().as_bytes())
    await post.start("smtp")
    assert [line["message_id"] for line in post.mails()] == ["<n1@dossier.test>"]


async def test_a_temporary_failure_is_451_and_keeps_nothing(post: Simulators) -> None:
    await post.control("smtp", mode="error")
    with pytest.raises(aiosmtplib.SMTPDataError) as refused:
        await send(post)
    assert (refused.value.code, post.mails()) == (451, [])


async def test_a_recipient_is_refused_for_good_or_for_now_on_command(post: Simulators) -> None:
    await post.control("smtp", reject_recipients=["nobody@*"], defer_recipients=["busy@example.test"])
    for to, code in (("nobody@example.test", 550), ("busy@example.test", 451)):
        with pytest.raises(aiosmtplib.SMTPRecipientsRefused) as refused:
            await send(post, mail(to=to))
        assert [recipient.code for recipient in refused.value.recipients] == [code]
    await send(post)
    assert len(post.mails()) == 1
    assert [line["rcpt_to"] for line in post.history("smtp", "refused")] == ["nobody@example.test", "busy@example.test"]


async def test_a_server_that_is_down_says_421(post: Simulators) -> None:
    await post.control("smtp", mode="down")
    with pytest.raises(aiosmtplib.SMTPConnectError, match="421|not available"):
        await send(post)


async def test_a_server_that_refuses_cannot_be_connected_to_until_it_is_up_again(post: Simulators) -> None:
    await post.control("smtp", mode="refuse")
    with pytest.raises(aiosmtplib.SMTPConnectError):
        await send(post)
    await post.control("smtp", mode="up")
    await send(post)


async def test_garbage_is_not_smtp(post: Simulators) -> None:
    await post.control("smtp", mode="garbage")
    with pytest.raises(aiosmtplib.SMTPException):
        await send(post)


async def test_a_hanging_server_says_nothing_and_lets_go_when_told(post: Simulators) -> None:
    await post.control("smtp", mode="hang")
    with pytest.raises(aiosmtplib.SMTPTimeoutError):
        await send(post, seconds=0.3)
    reader, writer = await asyncio.open_connection("127.0.0.1", post.smtp_port)
    await until_true(lambda: _has_met(post, "hang", 2))
    await post.control("smtp", mode="up")
    async with asyncio.timeout(60):
        assert await reader.read() == b""
    writer.close()


async def _has_met(post: Simulators, mode: str, times: int) -> bool:
    met: int = (await post.stats("smtp"))["met"].get(mode, 0)
    return met == times


async def test_a_lost_answer_leaves_the_mail_kept_so_that_a_retry_makes_a_second_copy(post: Simulators) -> None:
    await post.control("smtp", mode="refuse", fail_ratio=0.999, when="after")
    with pytest.raises(aiosmtplib.SMTPException):
        await send(post)
    await post.reset("smtp")
    await send(post)
    assert [line["repeat"] for line in post.mails()] == [False, True]


async def test_a_lying_server_says_250_and_keeps_nothing(post: Simulators) -> None:
    await post.control("smtp", mode="wrong")
    assert "kept" in await send(post)
    assert post.mails() == []
    assert [line["mode"] for line in post.history("smtp", "fault")] == ["wrong"]


async def test_a_slow_server_takes_its_time(post: Simulators) -> None:
    await post.control("smtp", delay_ms=5_000)
    sending = asyncio.create_task(send(post))
    await asyncio.wait([sending], timeout=0.3)
    assert not sending.done()
    sending.cancel()


async def test_other_settings_do_not_disturb_who_is_connected(post: Simulators) -> None:
    async with aiosmtplib.SMTP(hostname="127.0.0.1", port=post.smtp_port, start_tls=False) as client:
        await client.send_message(mail())
        await post.control("smtp", delay_ms=1)
        await client.send_message(mail("<n2@dossier.test>"))
    await until(lambda: len(post.mails()) == 2)


async def test_answers_to_single_recipients_are_said_as_told(post: Simulators) -> None:
    await post.control(
        "smtp", defer_recipients=["full@*"], defer_answer="452 4.2.2 mailbox full", reject_recipients=["gone@*"],
        reject_answer="556 5.1.10 no mail there", refuse_content_to=["strict@*"], content_answer="554 5.7.1 policy",
    )  # fmt: skip
    for to, said in (("full@e.vn", (452, "4.2.2 mailbox full")), ("gone@e.vn", (556, "5.1.10 no mail there"))):
        with pytest.raises(aiosmtplib.SMTPRecipientsRefused) as refused:
            await send(post, mail(to=to))
        assert [(one.code, one.message) for one in refused.value.recipients] == [said]
    with pytest.raises(aiosmtplib.SMTPDataError, match="policy"):
        await send(post, mail(to="strict@e.vn"))
    await send(post)
    assert [line["rcpt_to"] for line in post.mails()] == [["citizen@example.test"]]


async def test_a_slow_or_cut_recipient_keeps_nobody_else_waiting(post: Simulators) -> None:
    await post.control("smtp", slow_recipients=["slow@*"], cut_recipients=["cut@*"])
    with pytest.raises(aiosmtplib.SMTPException):
        await send(post, mail(to="cut@e.vn"))
    waiting = asyncio.create_task(send(post, mail(to="slow@e.vn")))
    await until(lambda: len(post.history("smtp", "slow")) == 1)
    await send(post)
    assert not waiting.done()
    await post.reset("smtp")
    assert "kept" in await waiting


@pytest.mark.parametrize("answer", ["", "99 x", "250", "354 go on", "550 two\r\nlines", "650 no"])
async def test_what_is_no_answer_cannot_be_told(post: Simulators, answer: str) -> None:
    with pytest.raises(aiohttp.ClientResponseError):
        await post.control("smtp", defer_answer=answer)
