"""Nearly right requests at the doors that are open to others: WHIP offers, orders of an operator, delivery reports."""

import asyncio
import time
from collections import Counter

import aiohttp
import psutil
import pytest
from free_ports import free_port
from fuzzing import COUNT, fuzzed, mutate, report, seeds
from golden import path_of
from hypothesis import given
from patience import patient, until
from up_process import UpProcess
from whip import Publisher, loopback_only

from operate.orders import OperatorFile
from proto.codec import decode
from proto.control import PauseRequestV1
from proto.subjects import AIM, PAUSE, REPLAY, STATS
from services.bus import Bus
from services.ingest.core.sdp import OfferError, check_offer, spelled_out, with_addresses_only
from services.ingest.sources.peer import EncodedQueue
from services.ingest.web.rtc import PeerConnection, install
from services.kernel.settings import Secret, load
from services.notify.channels.sms.delivery_reports import Report, report_path
from services.notify.channels.sms.report_server import ReportServer
from services.notify.channels.sms.settings import ReportsSettings

ANSWERED = 40
"""So many accepted offers are answered by aiortc, which takes tens of milliseconds each."""
MAX_MIB = 150
BATCH = 32


@pytest.fixture(name="offers", scope="module")
def _offers() -> list[bytes]:
    async def made() -> list[bytes]:
        with loopback_only():
            publishers = [Publisher(), Publisher("VP8"), Publisher(None, audio=True)]
            texts = [(await publisher.offer()).encode() for publisher in publishers]
            for publisher in publishers:
                await publisher.close()
            return texts

    return asyncio.run(made())


def test_an_offer_is_refused_in_words_or_can_be_used(offers: list[bytes]):
    """OfferError with a status of HTTP, and nothing else; what is accepted aiortc answers or refuses in words, too."""
    counts, accepted, statuses = Counter(), [], set()

    @fuzzed
    @given(seeds)
    def one(seed: int) -> None:
        text = mutate(offers, seed).decode(errors="replace")
        try:
            codec = check_offer(text)
        except OfferError as error:
            statuses.add(error.status)
            counts["refused"] += 1
            return
        assert "m=video" in spelled_out(with_addresses_only(text))
        accepted.append((codec, text))

    one()
    with loopback_only():
        counts.update(asyncio.run(answers(accepted[: max(ANSWERED, COUNT // 20)])))
    report("WHIP offers", **counts, accepted=len(accepted))
    assert counts["refused"] > 0
    assert statuses <= {400, 406}
    assert accepted


async def answers(accepted: list) -> Counter:
    install()
    counts = Counter()
    for codec, text in accepted:
        encoded = EncodedQueue(codec, on_close=lambda: None, on_drop=lambda: None)
        peer = PeerConnection(encoded, [])
        try:
            await asyncio.wait_for(peer.answer(text), patient(10))
            counts["answered"] += 1
        except OfferError:
            counts["refused by aiortc"] += 1
        finally:
            encoded.close("other", "the test is over")
            await peer.close()
    return counts


async def test_a_delivery_report_is_believed_only_at_its_own_address():
    """Whatever path, query and body: an answer below 500, and nothing told but of the one genuine report."""
    told: list[Report] = []

    async def tell(report: Report) -> None:
        told.append(report)

    token, port = "geheim" * 6, free_port()
    settings = ReportsSettings(port=port, url=f"http://127.0.0.1:{port}", token=Secret(token))
    server, counts = ReportServer(settings, tell), Counter()
    genuine = report_path(token, "cannes", "0" * 16, "a" * 64, 1)
    corpus = [
        f"/{genuine}?status=1".encode(),
        f"/x/{genuine}?status=8&status=2".encode(),
        b"/?status=1",
        genuine.encode(),
    ]
    bodies = [
        b"status=1",
        b'{"status": 1}',
        b'{"status": ["1"]}',
        b'--b\r\nContent-Disposition: form-data; name="status"\r\n\r\n1\r\n--b--',
    ]
    kinds = (
        "application/x-www-form-urlencoded",
        "application/json",
        "multipart/form-data; boundary=b",
        "x",
        "application/json; charset=x",
    )

    async def one(session: aiohttp.ClientSession, seed: int) -> None:
        path = mutate(corpus, seed, most=2).decode("latin-1")
        body, kind = mutate(bodies, seed + 1), kinds[seed % len(kinds)]
        try:
            async with session.request(
                "POST" if seed % 3 else "GET",
                f"http://127.0.0.1:{port}/{path}",
                data=body,
                headers={"Content-Type": kind},
            ) as answer:
                assert answer.status < 500, (seed, answer.status)
                counts[answer.status] += 1
        except (aiohttp.InvalidURL, aiohttp.ClientError, ValueError):
            counts["not sendable"] += 1

    await server.start()
    try:
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=30)) as session:
            for start in range(0, COUNT, BATCH):
                await asyncio.gather(*(one(session, seed) for seed in range(start, min(start + BATCH, COUNT))))
            async with session.get(f"http://127.0.0.1:{port}/{genuine}?status=1") as answer:
                assert answer.status == 200
    finally:
        await server.stop()
    report("delivery reports", **{str(status): count for status, count in counts.items()})
    assert {(one.site, one.notification) for one in told} == {("cannes", "0" * 16)}
    assert sum(counts.values()) == COUNT


SETTINGS = """
sites: [{id: cannes, profile: lab, window_s: 60, cameras: [{id: gate, url: /nowhere.mp4}]}]
"""
DOORS = {"pause": PAUSE, "aim": AIM, "replay": REPLAY, "stats": STATS}
PROGRAMS = ("ingest", "aggregate", "notify")


async def test_orders_that_are_none_harm_no_service(tmp_path):
    """On a running system, with the operator's own rights: the same processes, within their memory, answer after it."""
    file, data = tmp_path / "site.yaml", tmp_path / "data"
    file.write_text(SETTINGS)
    up = await asyncio.to_thread(UpProcess(["-c", str(file), "--data", str(data)]).start)
    try:
        operator = data / "identities/operator.yaml"
        await asyncio.to_thread(up.wait_for, operator.exists, 60, "NATS is ready")
        bus = await Bus.connect(load(operator, OperatorFile).nats, "operator")
        try:
            await answered(bus, 60, "its start")
            before = {name: (up.pid(name), rss(up.pid(name))) for name in PROGRAMS}
            for name, row in DOORS.items():
                corpus = [path_of(row.message).read_bytes()]
                subject = row.wildcard(site="cannes")
                for seed in range(COUNT):
                    await bus.client.publish(subject, mutate(corpus, seed), reply="_INBOX_operator.nobody")
                    if seed % BATCH == 0:
                        await answered(bus, 30, f"{name} {seed}")
            await answered(bus, 30, "all")
        finally:
            await bus.close()
        after = {name: (up.pid(name), rss(up.pid(name))) for name in PROGRAMS}
    finally:
        await asyncio.to_thread(up.stop)
    report("orders", **{f"of {name}": COUNT for name in DOORS})
    assert {name: pid for name, (pid, _) in after.items()} == {name: pid for name, (pid, _) in before.items()}
    grown = {name: (after[name][1] - before[name][1]) // 2**20 for name in PROGRAMS}
    assert max(grown.values()) < MAX_MIB, grown
    assert not [line for line in up.words if "a handler failed" in line]


async def answered(bus: Bus, limit_s: float, after: str) -> None:
    """Wait until ingest answers an order: to go on, which undoes a pause that came through, too."""

    async def resumed() -> bool:
        asked = PauseRequestV1(site="cannes", action="resume", operator="x", why="", at=time.time_ns())
        await bus.request(PAUSE, asked, timeout=5)
        return True

    await until(resumed, f"ingest answers after {after}", limit_s, every_s=0.2, ignoring=(Exception,))


def rss(pid: int) -> int:
    return psutil.Process(pid).memory_info().rss


def test_the_corpus_is_whole():
    """What is mutated is accepted as it is, or no fault would be tried alone."""
    for row in DOORS.values():
        decode(row, path_of(row.message).read_bytes())
