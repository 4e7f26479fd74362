"""The server for delivery reports: lost, late, doubled and forged ones, as query, form and JSON."""

import asyncio
from collections.abc import AsyncIterator

import aiohttp
import pytest
from free_ports import free_port

from services.kernel.settings import Secret
from services.notify.channels.sms import report_server
from services.notify.channels.sms.delivery_reports import Report, report_path
from services.notify.channels.sms.report_server import ReportServer
from services.notify.channels.sms.settings import ReportsSettings

TOKEN = "s3cret-0123456789"


def path(number: int = 1) -> str:
    return report_path(TOKEN, "forville", f"{number:016x}", "d" * 64)


@pytest.fixture(name="told")
def _told() -> list[Report]:
    return []


@pytest.fixture(name="trouble")
def _trouble() -> list[Exception]:
    """What recording the next reports raises."""
    return []


@pytest.fixture(name="report")
async def _report(told, trouble, logs) -> AsyncIterator:
    """`await report(path, status=1)`: the answer's status; `json` and `data` are bodies."""
    port = free_port()
    settings = ReportsSettings(
        port=port,
        url=f"http://127.0.0.1:{port}",
        token=Secret(TOKEN),
        delivered=["1", "sent"],
        failed=["2", "16", "no"],
    )

    async def tell(report: Report) -> None:
        if trouble:
            raise trouble.pop()
        told.append(report)

    server = ReportServer(settings, tell)
    await server.start()
    async with aiohttp.ClientSession() as session:

        async def send(path: str, status: object = None, **body: object) -> int:
            query = {} if status is None else {"status": str(status)}
            method = "POST" if body else "GET"
            async with session.request(method, f"http://127.0.0.1:{port}/{path}", params=query, **body) as answer:
                return answer.status

        yield send
    await server.stop()
    assert "d" * 64 not in logs()


async def test_a_report_tells_what_became_of_an_sms(report, told):
    """Kannel's codes; those that are not the last word are taken and say nothing."""
    assert [await report(path(1), code) for code in (8, 4, 1)] == [200, 200, 200]
    assert [await report(path(2), code) for code in (8, 2)] == [200, 200]
    assert await report(path(3), 16) == 200
    assert told == [
        Report("forville", f"{number:016x}", "d" * 64, state)
        for number, state in [(1, "delivered"), (2, "failed"), (3, "failed")]
    ]


async def test_a_double_counts_once_and_a_late_success_counts(report, told):
    """In whatever order they come."""
    for code in (2, 2, 1, 1, 2):
        assert await report(path(), code) == 200
    assert [r.state for r in told] == ["failed", "delivered"]


async def test_a_forged_report_is_nobodys(report, told):
    """Another number, another site, a guessed secret, no secret: 404, as for anything else."""
    genuine = path(1)
    forged = [genuine.replace("1/", "2/", 1), genuine[:-1] + ("0" if genuine[-1] != "0" else "1"), "x", "a/b/c/d", ""]
    forged += [genuine.replace("forville", "station"), "/".join(genuine.split("/")[:3])]
    assert {await report(wrong, 1) for wrong in forged} == {404}
    assert told == []


async def test_what_could_not_be_recorded_is_asked_for_again(report, told, trouble):
    """503, and the repeated report counts."""
    trouble.append(ConnectionError("NATS is away"))
    assert [await report(path(), 1), await report(path(), 1)] == [503, 200]
    assert len(told) == 1


@pytest.mark.parametrize(
    "body",
    [
        {"json": {"status": "sent"}},
        {"data": {"status": "sent"}},
        {"data": b'{"status": "sent"', "headers": {"Content-Type": "application/json"}},
        {"json": ["sent"]},
        {"json": {"status": {"a": 1}}},
        {"data": b"x" * 20_000},
    ],
)
async def test_providers_report_as_form_or_json(report, told, body):
    """What can't be read says nothing, and is no fault of ours."""
    assert await report(path(), **body) in {200, 413}
    assert len(told) == (body in ({"json": {"status": "sent"}}, {"data": {"status": "sent"}}))


async def test_a_report_that_does_not_come_is_not_waited_for(report, told, monkeypatch):
    """Whoever knows an address may send its body a byte at a time: it has its time, and no longer."""
    monkeypatch.setattr(report_server, "BODY_S", 1.0)

    async def drips() -> AsyncIterator[bytes]:
        yield b"status="
        await asyncio.sleep(30)

    assert await report(path(), data=drips()) == 408
    assert told == []


async def test_a_path_before_the_address_is_a_proxys(report, told):
    """`url` may have one that the proxy hands on."""
    assert await report(f"sms/in/{path()}", 1) == 200
    assert len(told) == 1
