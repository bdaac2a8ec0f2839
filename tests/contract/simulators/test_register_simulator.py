"""The population register, met by a raw SOAP client."""

import asyncio
import time
import xml.etree.ElementTree as ET

import aiohttp
import psutil
import pytest

from deploy.simulators.process import Simulators
from tests.contract.simulators.outside import (
    NUMBER,
    Answer,
    ask_register,
    register_headers,
    soap_request,
    until,
)

pytestmark = pytest.mark.asyncio
D = "{http://dancuquocgia.bca}"
BODY = "{http://schemas.xmlsoap.org/soap/envelope/}Body"


def paths(answer: Answer) -> dict[str, str]:
    """Every leaf of the answer's SOAP body: its path of names → its text."""
    found: dict[str, str] = {}

    def walk(element: ET.Element, path: str) -> None:
        assert element.tag.startswith(D)
        path = f"{path}/{element.tag.removeprefix(D)}".lstrip("/")
        if len(element) == 0:
            found[path] = element.text or ""
        for child in element:
            walk(child, path)

    body = ET.fromstring(answer.body).find(BODY)
    assert body is not None
    walk(body[0], "")
    return found


async def test_a_known_number_gives_the_whole_record(register: Simulators) -> None:
    answer = await ask_register(register, soap_request())
    assert (answer.status, answer.headers["Content-Type"]) == (200, "text/xml; charset=utf-8")
    person = "CongdanCollection/CongDan"
    assert paths(answer) == {
        f"{person}/SoDinhDanh": NUMBER,
        f"{person}/HoVaTen/Ho": "Nguyễn",
        f"{person}/HoVaTen/ChuDem": "Thị",
        f"{person}/HoVaTen/Ten": "Mẫu",
        f"{person}/GioiTinh": "2",
        f"{person}/NgayThangNamSinh/Nam": "1990",
        f"{person}/NgayThangNamSinh/NgayThangNam": "19900203",
        f"{person}/QuocTich": "VN",
    }


async def test_a_look_up_goes_by_the_number_whatever_name_was_given(register: Simulators) -> None:
    answer = await ask_register(register, soap_request(name="Someone Else"))
    assert paths(answer)["CongdanCollection/CongDan/HoVaTen/Ten"] == "Mẫu"


async def test_an_unknown_number_gives_an_empty_collection(register: Simulators) -> None:
    answer = await ask_register(register, soap_request("001090999999"))
    assert (answer.status, paths(answer)) == (200, {"CongdanCollection": ""})


@pytest.mark.parametrize(
    ("changes", "exists"),
    [
        ({}, "true"),
        ({"name": "nguyễn  thị mẫu"}, "true"),
        ({"born": "<d:Nam>1990</d:Nam>"}, "true"),
        ({"born": "<d:Nam>1991</d:Nam>"}, "false"),
        ({"name": "Nguyễn Thị Mậu"}, "false"),
        ({"number": "001090999999"}, "false"),
    ],
)
async def test_existence_is_confirmed_for_number_name_and_birth_together(
    shared_register: Simulators, changes: dict[str, str], exists: str
) -> None:
    answer = await ask_register(shared_register, soap_request(operation="XacThucThongTinCongDan", **changes))
    assert paths(answer) == {"KetQuaXacThuc/TonTai": exists}


GOOD = soap_request()
MALFORMED = {
    "not XML": "<a>",
    "not an envelope": "<a/>",
    "unknown operation": soap_request(operation="XoaCongDan"),
    "elements out of order": GOOD.replace("<d:MaYeuCau>R-1</d:MaYeuCau>", "").replace(
        "<d:SoDinhDanh>", "<d:MaYeuCau>R-1</d:MaYeuCau><d:SoDinhDanh>"
    ),
    "an element missing": GOOD.replace("<d:MaCanBo>officer-1</d:MaCanBo>", ""),
    "an element unknown": GOOD.replace("<d:MaCanBo>", "<d:Khac>1</d:Khac><d:MaCanBo>"),
    "eleven digits": soap_request("00109000000"),
    "no number": GOOD.replace(f"<d:SoDinhDanh>{NUMBER}</d:SoDinhDanh>", ""),
    "birth in another form": soap_request(born="<d:NgayThangNam>1990-02-03</d:NgayThangNam>"),
    "another namespace": GOOD.replace("http://dancuquocgia.bca", "urn:other"),
    "a document type": f'<!DOCTYPE a [<!ENTITY x "boom">]>{GOOD.replace("R-1", "&x;")}',
    "UTF-16": soap_request().encode("utf-16"),
}


@pytest.mark.parametrize("body", MALFORMED.values(), ids=MALFORMED.keys())
async def test_a_malformed_request_gets_a_client_fault(shared_register: Simulators, body: str | bytes) -> None:
    before = shared_register.history("register", "call")
    answer = await ask_register(shared_register, body)
    assert answer.status == 500
    assert "<faultcode>soapenv:Client</faultcode>" in answer.text
    assert "boom" not in answer.text
    assert shared_register.history("register", "call") == before


async def test_a_body_over_64_kib_is_refused(register: Simulators) -> None:
    answer = await ask_register(register, soap_request(name="x" * 65_536))
    assert answer.status == 413


async def test_a_caller_without_the_right_hash_or_with_an_old_timestamp_is_not_answered(register: Simulators) -> None:
    wrong_secret = register_headers(register, secret="guessed")
    stale = register_headers(register, timestamp=str(int(time.time()) - 3600))
    nothing = {"Content-Type": "text/xml"}
    for headers in (wrong_secret, stale, nothing):
        answer = await ask_register(register, GOOD, headers)
        assert (answer.status, answer.headers["WWW-Authenticate"][:5]) == (401, "Basic")


async def test_a_timestamp_in_milliseconds_is_understood_too(register: Simulators) -> None:
    headers = register_headers(register, timestamp=str(int(time.time() * 1000)))
    assert (await ask_register(register, GOOD, headers)).status == 200


async def test_every_call_is_on_record_when_it_is_answered_and_after_a_kill(register: Simulators) -> None:
    await ask_register(register, GOOD)
    await ask_register(register, soap_request("001090999999"))
    assert await register.kill("register") == -9
    calls = register.history("register", "call")
    assert [(call["n"], call["outcome"], call["fields"]["MaCanBo"]) for call in calls] == [
        (1, "found", "officer-1"),
        (2, "not_found", "officer-1"),
    ]
    assert (register.folder / "register").stat().st_mode & 0o777 == 0o700


async def test_a_person_entered_by_the_police_is_found_also_after_a_restart(register: Simulators) -> None:
    person = {
        "id_number": "001090999999",
        "full_name": "Lê Mới",
        "date_of_birth": "1990-01-01",
        "gender": "male",
    }
    assert await register.enter_person(person) == "entered"
    assert await register.enter_person(person) == "unchanged"
    assert await register.enter_person({**person, "full_name": "Lê Rất Mới"}) == "changed"
    await register.kill("register")
    await register.start("register")
    found = paths(await ask_register(register, soap_request("001090999999")))
    assert found["CongdanCollection/CongDan/HoVaTen/ChuDem"] == "Rất"


async def test_down_and_error_are_server_failures(register: Simulators) -> None:
    for mode, status in (("down", 503), ("error", 500)):
        await register.control("register", mode=mode)
        answer = await ask_register(register, GOOD)
        assert (answer.status, b"Envelope" in answer.body) == (status, False)


async def test_refusing_closes_the_port_and_resets_open_connections_until_it_is_up_again(register: Simulators) -> None:
    async with aiohttp.ClientSession() as kept:
        async with kept.post(register.register_url, data=GOOD, headers=register_headers(register)) as answer:
            assert answer.status == 200
        await register.control("register", mode="refuse")
        with pytest.raises(aiohttp.ClientConnectionError):
            await kept.post(register.register_url, data=GOOD, headers=register_headers(register))
    with pytest.raises(aiohttp.ClientConnectorError):
        await ask_register(register, GOOD)
    await register.control("register", mode="up")
    assert (await ask_register(register, GOOD)).status == 200


async def test_garbage_is_not_xml(register: Simulators) -> None:
    await register.control("register", mode="garbage")
    with pytest.raises(ET.ParseError):
        ET.fromstring((await ask_register(register, GOOD)).body)


async def test_a_hanging_register_takes_the_call_and_lets_go_when_told(register: Simulators) -> None:
    await register.control("register", mode="hang")
    call = asyncio.create_task(ask_register(register, GOOD))
    await until(lambda: len(register.history("register", "call")) == 1)
    assert not call.done()
    await register.control("register", mode="up")
    with pytest.raises(aiohttp.ClientConnectionError):
        await call


async def test_a_wrong_register_answers_in_good_form_about_somebody_else(register: Simulators) -> None:
    await register.control("register", mode="wrong")
    assert paths(await ask_register(register, GOOD))["CongdanCollection/CongDan/SoDinhDanh"] != NUMBER
    answer = await ask_register(register, soap_request(operation="XacThucThongTinCongDan"))
    assert paths(answer) == {"KetQuaXacThuc/TonTai": "false"}


async def test_a_slow_register_takes_its_time(register: Simulators) -> None:
    await register.control("register", delay_ms=200)
    before = time.monotonic()
    await ask_register(register, GOOD)
    assert time.monotonic() - before >= 0.2


async def test_a_share_of_failures_is_the_same_for_the_same_seed(register: Simulators) -> None:
    async def statuses() -> list[int]:
        await register.control("register", fail_ratio=0.5, seed=7)
        return [(await ask_register(register, GOOD)).status for _ in range(20)]

    first = await statuses()
    assert set(first) == {200, 500}
    assert await statuses() == first


async def test_a_bad_setting_is_refused_and_changes_nothing(register: Simulators) -> None:
    for bad in ({"mode": "sideways"}, {"delay_ms": -1}, {"unknown": 1}):
        with pytest.raises(aiohttp.ClientResponseError) as refused:
            await register.control("register", **bad)
        assert refused.value.status == 400
    assert (await ask_register(register, GOOD)).status == 200


async def test_five_hundred_calls_cost_less_than_a_second_of_one_core(register: Simulators) -> None:
    process, headers, calls = psutil.Process(register.pid("register")), register_headers(register), 1_000

    def cpu_seconds() -> float:
        return float(sum(process.cpu_times()[:2]))

    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=16)) as session:

        async def one() -> int:
            async with session.post(register.register_url, data=GOOD, headers=headers) as answer:
                await answer.read()
                return answer.status

        before = cpu_seconds()
        statuses = await asyncio.gather(*(one() for _ in range(calls)))
    assert statuses == [200] * calls
    assert (cpu_seconds() - before) * 500 / calls < 1
    assert len(register.history("register", "call")) == calls
