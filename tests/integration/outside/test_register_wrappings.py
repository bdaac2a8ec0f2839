"""However an answer of the register is labelled, encoded and wrapped: it is read, or counted as the register's fault,
or a final no, and then it is final.
"""

import pytest
from aiohttp import web

from services.verification.gateways import RECORD_AGAIN_S, Enquiry, EnquiryRefused
from services.verification.reading import Person
from shared.errors import Transient
from shared.law.birth import birth_of
from tests.integration.outside.test_register_answers import COUNTED, ENQUIRY, Answer, answering, collection


@pytest.fixture(autouse=True)
def _nothing_counted() -> None:
    COUNTED.clear()


def saying(body: bytes | str, content_type: str = "text/xml", status: int = 200) -> Answer:
    """A register that answers with this."""

    async def answer(request: web.Request) -> web.Response:
        content = body if isinstance(body, bytes) else body.encode()
        return web.Response(body=content, status=status, headers={"Content-Type": content_type})

    return answer


async def asked(answer: Answer) -> Person | None:
    """The citizen whom a register that answers like this tells of."""
    async with answering(answer) as register:
        return await register.look_up(ENQUIRY)


def named(name: str) -> str:
    """The register's record with this inside HoVaTen."""
    return collection().decode().replace("<Ho>Mẫu</Ho><ChuDem>Văn</ChuDem><Ten>An</Ten>", name)


RECORD = collection().decode()
PARTS = (
    "--=_b0undary\r\nContent-Type: text/plain\r\nContent-ID: <other>\r\n\r\nnot this one\r\n"
    "--=_b0undary\r\nContent-Type: application/xop+xml; charset=UTF-8\r\nContent-Transfer-Encoding: 8bit\r\n"
    f"Content-ID: <root>\r\n\r\n{RECORD}\r\n--=_b0undary--\r\n"
)
ROOT_ONLY = f"--x\r\nContent-Type: text/xml; charset=utf-8\r\n\r\n\n{RECORD}\r\n--x--\r\n"
READABLE: dict[str, Answer] = {
    "a line feed before the declaration": saying(f'\r\n\n<?xml version="1.0" encoding="UTF-8"?>{RECORD}'),
    "a byte-order mark before it": saying(f'\ufeff<?xml version="1.0" encoding="UTF-8"?>{RECORD}'),
    "both": saying(f'\n\ufeff <?xml version="1.0"?>{RECORD}'),
    "UTF-16 with its mark": saying(f'<?xml version="1.0" encoding="UTF-16"?>{RECORD}'.encode("utf-16")),
    "UTF-16 without a mark": saying(f'<?xml version="1.0" encoding="UTF-16"?>{RECORD}'.encode("utf-16-le")),
    "UTF-16, the other end first": saying(f'\n<?xml version="1.0"?>{RECORD}'.encode("utf-16-be")),
    "UTF-16 declared, UTF-8 sent": saying(f'<?xml version="1.0" encoding="UTF-16"?>{RECORD}'),
    "ISO 8859-1 labelled, UTF-8 sent": saying(RECORD, "text/xml; charset=iso-8859-1"),
    "an unknown encoding declared, UTF-8 sent": saying(f'<?xml version="1.0" encoding="TCVN-5712"?>{RECORD}'),
    "windows-1258 declared": saying(
        f'<?xml version="1.0" encoding="windows-1258"?>{RECORD}'.replace("ẫ", "â\u0303").encode("cp1258")
    ),
    "windows-1258 labelled": saying(
        RECORD.replace("ẫ", "â\u0303").encode("cp1258"), "text/xml; charset=windows-1258"
    ),
    "another content type": saying(RECORD, "application/octet-stream"),
    "no content type": saying(RECORD, ""),
    "a nonsensical content type": saying(RECORD, ";;boundary"),
    "a multipart label on a plain answer": saying(RECORD, 'multipart/related; boundary="b"; type="text/xml"'),
    "two parts, the root second": saying(PARTS, 'multipart/related; boundary="=_b0undary"; start="<root>"'),
    "one part": saying(ROOT_ONLY, "multipart/related; boundary=x"),
    "one part labelled as XML": saying(ROOT_ONLY),
    "one part after a preamble": saying(f"In MIME format.\r\n{ROOT_ONLY}", "multipart/mixed; boundary=x"),
    "a name in one text": saying(named("Mẫu Văn An")),
    "a name in one text among spaces": saying(named("\n  MẪU\u00a0VĂN   An ")),
    "a name in parts of another kind": saying(named("<HoTen>Mẫu Văn</HoTen><TenGoi>An</TenGoi>")),
    "a name in CDATA": saying(named("<![CDATA[Mẫu Văn An]]>")),
    "a comment in the record": saying(named("<!-- họ tên -->Mẫu Văn An")),
    "a day of noughts beside the year": saying(
        collection("<NgayThangNam>00000000</NgayThangNam><Nam>1999</Nam>")
    ),
    "somebody else first": saying(
        RECORD.replace("<CongDan>", "<CongDan><SoDinhDanh>1</SoDinhDanh></CongDan><CongDan>", 1)
    ),
}  # fmt: skip


@pytest.mark.parametrize("answer", READABLE.values(), ids=READABLE.keys())
async def test_an_answer_is_read_however_it_is_wrapped(answer: Answer) -> None:
    person = await asked(answer)
    assert person is not None
    assert person.is_called(ENQUIRY.full_name)
    assert person.is_born(ENQUIRY.date_of_birth)
    assert COUNTED == []


ODD = {
    "an empty name": named(""),
    "a name of empty parts": named("<Ho/><ChuDem> </ChuDem><Ten/>"),
    "no name at all": RECORD.replace("HoVaTen>", "HoVaTenKhac>"),
    "a name without a letter": named("-"),
    "somebody else": RECORD.replace("001199000017", "001199000018"),
    "no birth": collection("").decode(),
    "a birth on no day": collection("<NgayThangNam>19990230</NgayThangNam>").decode(),
}


@pytest.mark.parametrize("record", ODD.values(), ids=ODD.keys())
async def test_a_record_that_lacks_what_we_compare_is_the_registers_fault_and_holds_up_nobody_else(record: str) -> None:
    with pytest.raises(Transient, match="a record") as odd:
        await asked(saying(record))
    assert (odd.value.well, odd.value.retry_after_s) == (True, RECORD_AGAIN_S)
    assert COUNTED == ["record"]


DTD = '<!DOCTYPE a [<!ENTITY x "Mẫu Văn An">]>'
UNREADABLE: dict[str, bytes | str] = {
    "nothing": "",
    "no XML": "<html>",
    "HTML": "<html><body>Bảo trì</body></html>",
    "a document type": DTD + named("&x;"),
    "a document type behind spaces": f"\n {DTD}{named('&x;')}",
    "a document type in UTF-16": (DTD + named("&x;")).encode("utf-16"),
    "a document type in UTF-16 without a mark": (DTD + named("&x;")).encode("utf-16-be"),
    "a document type in a part": f"--x\r\n\r\n{DTD}{named('&x;')}\r\n--x--\r\n",
    "an entity that is not declared": named("&x;"),
    "bytes of no encoding": b"<a>\xff\xfe\x80</a>",
    "an encoding that is none for texts": b'<?xml version="1.0" encoding="hex"?><a>\xff</a>',
    "a boundary and nothing else": "--x\r\n",
}


@pytest.mark.parametrize("body", UNREADABLE.values(), ids=UNREADABLE.keys())
async def test_what_nobody_can_read_is_asked_for_again_and_counted(body: bytes | str) -> None:
    with pytest.raises(Transient) as wrong:
        await asked(saying(body))
    assert not wrong.value.well
    assert COUNTED == ["unreadable"]


SOAP = "http://schemas.xmlsoap.org/soap/envelope/"
SOAP12 = "http://www.w3.org/2003/05/soap-envelope"


def fault(code: str, prefix: str = "soapenv") -> str:
    """A fault of SOAP 1.1, section 4.4."""
    told = f"<faultcode>{code}</faultcode><faultstring>Sai</faultstring>"
    content = f"<{prefix}:Fault>{told}</{prefix}:Fault>"
    return f'<{prefix}:Envelope xmlns:{prefix}="{SOAP}"><{prefix}:Body>{content}</{prefix}:Body></{prefix}:Envelope>'


def fault12(code: str, subcode: str = "") -> str:
    """A fault of SOAP 1.2, section 5.4."""
    sub = f"<env:Subcode><env:Value>{subcode}</env:Value></env:Subcode>" if subcode else ""
    told = f"<env:Code><env:Value>{code}</env:Value>{sub}</env:Code><env:Reason><env:Text>Sai</env:Text></env:Reason>"
    return f'<env:Envelope xmlns:env="{SOAP12}"><env:Body><env:Fault>{told}</env:Fault></env:Body></env:Envelope>'


FINAL = {
    "as the simulator has it": fault("soapenv:Client"),
    "another prefix": fault("S:Client", "S"),
    "no prefix": fault("Client"),
    "a sub-code": fault("soap:Client.Data", "soap"),
    "sub-codes": fault("SOAP-ENV:Client.Data.Missing", "SOAP-ENV"),
    "among spaces": fault("\n soapenv:Client \n"),
    "SOAP 1.2": fault12("env:Sender"),
    "SOAP 1.2 with a sub-code": fault12("env:Sender", "dan:ThieuTruong"),
    "in small letters": fault("soapenv:client"),
    "another version": fault("soapenv:VersionMismatch"),
    "after a line feed": "\n" + fault("soapenv:Client"),
}


@pytest.mark.parametrize("status", [200, 400, 415, 500])
@pytest.mark.parametrize("body", FINAL.values(), ids=FINAL.keys())
async def test_a_final_no_is_final_under_whatever_prefix_and_status(body: str, status: int) -> None:
    with pytest.raises(EnquiryRefused):
        await asked(saying(body, status=status))
    assert COUNTED == ["refused"]


@pytest.mark.parametrize("status", [200, 500])
@pytest.mark.parametrize(
    "body",
    [fault("soapenv:Server"), fault("S:Server.Busy", "S"), fault12("env:Receiver"), fault(""), fault("Clientele")],
)
async def test_a_fault_of_the_register_itself_is_asked_again_and_counted(body: str, status: int) -> None:
    with pytest.raises(Transient) as wrong:
        await asked(saying(body, status=status))
    assert not wrong.value.well
    assert COUNTED == ["fault"]


@pytest.mark.parametrize("status", [401, 403, 407, 408, 429, 502, 503, 504])
async def test_who_is_not_let_in_or_comes_too_early_is_not_refused_for_good(status: int) -> None:
    with pytest.raises(Transient, match=f"HTTP {status}"):
        await asked(saying(fault("soapenv:Client"), status=status))
    assert COUNTED == ["status"]


NOT_LET_IN = (
    fault("soapenv:Client.Authentication"), fault("S:Client.AuthenticationFailed", "S"), fault("Client.Unauthorized"),
    fault("Client.Data.authorization"), fault12("env:Sender", "wsse:FailedAuthentication"),
)  # fmt: skip


@pytest.mark.parametrize("status", [200, 500])
@pytest.mark.parametrize("body", NOT_LET_IN)
async def test_who_is_not_let_in_by_a_fault_asks_again_for_the_secret_or_the_clock_can_be_mended(
    body: str, status: int
) -> None:
    with pytest.raises(Transient) as wrong:
        await asked(saying(body, status=status))
    assert not wrong.value.well
    assert COUNTED == ["fault"]


@pytest.mark.parametrize(("born", "sent"), [("1999", "<dan:Nam>1999</dan:Nam>"), ("1999-05", "<dan:Nam>1999</dan:Nam>"),
    ("1999-05-01", "<dan:NgayThangNam>19990501</dan:NgayThangNam>")])  # fmt: skip
async def test_of_a_birth_only_what_is_known_is_sent(born: str, sent: str) -> None:
    bodies: list[str] = []

    async def answer(request: web.Request) -> web.Response:
        bodies.append(await request.text())
        return web.Response(body=collection(), content_type="text/xml")

    async with answering(answer) as register:
        await register.look_up(Enquiry("1" * 32, "1.004194", "001199000017", "Mẫu Văn An", birth_of(born)))
    assert f"<dan:NgayThangNamSinh>{sent}</dan:NgayThangNamSinh>" in bodies[0]
