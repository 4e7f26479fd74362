"""SMS through Debian's Kannel and its fake SMS centre: sending, delivery reports, and Kannel's own split."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from random import Random

import pytest
from free_ports import free_port
from kannel_process import Kannel
from notifications import NUMBER, SITE, TEN, notification, rate, recipient
from patience import until

from services.kernel.settings import Secret
from services.notify.channels.http_client import HttpClient
from services.notify.channels.http_exchange import HttpAnswer
from services.notify.channels.sms.delivery_reports import Report
from services.notify.channels.sms.gateways import Kannel as Interface
from services.notify.channels.sms.gateways import Sms
from services.notify.channels.sms.report_server import ReportServer
from services.notify.channels.sms.settings import KannelSettings, ReportsSettings, SmsSettings
from services.notify.channels.sms.shortening import encoding, segments, split
from services.notify.channels.sms.sms import SmsChannel
from services.notify.outcome import Failure

TEXT = (
    "Marché Forville, Entrée nord: masks 62%, below 70%. Between 54% and 69%. 143 people, 24 Nov 10:00-10:20,"
    " Paris time. New, since 09:40."
)

FRENCH = (
    "Marché Forville, Entrée nord : masques 62 %, sous 70 %. Entre 54 % et 69 %. 143 personnes,"
    " 24 nov. 10:00-10:20, heure de Paris. Nouveau, depuis 09:40."
)


pytestmark = pytest.mark.xdist_group("kannel")


@pytest.fixture(name="running", scope="module")
def _running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kannel]:
    with Kannel(tmp_path_factory.mktemp("kannel")) as kannel:
        yield kannel


@pytest.fixture(name="kannel")
def _kannel(running: Kannel) -> Kannel:
    """The one of this module, whose centre has got nothing yet."""
    running.forget()
    return running


@pytest.fixture(name="told")
def _told() -> list[Report]:
    return []


@pytest.fixture(name="channel")
async def _channel(told: list[Report], logs) -> AsyncIterator[Callable[..., SmsChannel]]:
    """`channel(kannel, password=...)`: a channel to that Kannel, whose reports end in `told`."""
    port = free_port()
    reports = ReportsSettings(port=port, url=f"http://127.0.0.1:{port}", token=Secret("s3cret-0123456789"))

    async def tell(report: Report) -> None:
        told.append(report)

    server = ReportServer(reports, tell)
    await server.start()
    made: list[SmsChannel] = []

    def make(kannel: Kannel, password: str = "kannel-word", sender: str = "Moretta") -> SmsChannel:
        settings = KannelSettings(
            url=Secret(kannel.url), user="moretta", password=Secret(password), sender=sender or None, smsc="centre"
        )
        made.append(SmsChannel(SmsSettings(kannel=settings, reports=reports), lambda _: SITE, lambda: TEN))
        return made[-1]

    yield make
    for channel in made:
        await channel.close()
    await server.stop()
    assert NUMBER[2:] not in logs()


async def test_an_sms_arrives_and_is_reported(kannel, channel, told):
    """The text as it was written, and `delivered` for this notification and recipient."""
    assert await channel(kannel).send(notification(rate()), recipient()) is None
    await until(lambda: kannel.parts() and told, "the SMS and its report", 30)
    assert kannel.parts() == [TEXT]
    assert told == [Report("forville", f"{1:016x}", "d" * 64, "delivered", TEN)]


async def test_a_report_may_be_late(tmp_path, channel, told):
    """An SMS that Kannel keeps while the centre is away is accepted, and reported once it comes back."""
    with Kannel(tmp_path) as kannel:
        await asyncio.to_thread(kannel.close_centre)
        assert await channel(kannel).send(notification(rate(), number=7), recipient()) is None
        assert told == []
        await asyncio.to_thread(kannel.open_centre)
        await until(lambda: kannel.parts() == [TEXT] and told, "the late SMS and its report", 60)
    assert told == [Report("forville", f"{7:016x}", "d" * 64, "delivered", TEN)]


async def test_a_burst_is_reported_one_by_one(kannel, channel, told):
    """Forty SMS at once, in both languages: each arrives, each is reported once and as its own."""
    sender = channel(kannel)
    bursts = [(notification(rate(), number=n), recipient(language="fr" if n % 2 else "en")) for n in range(40)]
    assert set(await asyncio.gather(*(sender.send(*burst) for burst in bursts))) == {None}
    await until(lambda: len(told) >= 40 and len(kannel.parts()) >= 40, "forty SMS and their reports", 60)
    assert sorted(report.notification for report in told) == [f"{n:016x}" for n in range(40)]
    assert {report.state for report in told} == {"delivered"}
    assert sorted(set(kannel.parts())) == sorted([TEXT, FRENCH])


async def test_kannels_refusals_are_told_apart(kannel, channel):
    """A wrong password is a person's matter, a number that Kannel refuses is that recipient's alone."""
    told = notification(rate())
    assert await channel(kannel, password="wrong").send(told, recipient()) == Failure("denied", "data", 403)
    assert await channel(kannel, sender="").send(told, recipient()) == Failure("misconfigured", "recipient", 400)
    assert await channel(kannel).send(told, recipient("nobody")) == Failure("recipient", "recipient", 400)
    assert kannel.parts() == []


async def test_kannel_splits_as_we_count(kannel):
    """GSM-7 with and without its extension, UCS-2, at and around the borders, and at random: the same parts."""
    dice = Random(20261124)
    texts = [sign * count for sign in ("a", "é", "ł") for count in (69, 70, 71, 134, 135, 160, 161, 306, 307)]
    texts += ["€" * count for count in (80, 81, 152, 153)] + ["a" * 152 + "€" + "b" * 20, "a" * 305 + "[]"]
    texts += ["".join(dice.choices("abcdéè€[^", k=dice.randint(1, 500))) for _ in range(25)]
    texts += ["".join(dice.choices("abcłşЖ", k=dice.randint(1, 300))) for _ in range(25)]
    interface = Interface(kannel.url, "moretta", "kannel-word", "Moretta")
    client = HttpClient(30.0, SmsSettings().tls())
    expected: list[str] = []
    for text in texts:
        sms = Sms("+12025550123", text, encoding(text), segments(text), "k")
        answer = await client.send(interface.request(sms))
        assert isinstance(answer, HttpAnswer)
        assert interface.failure(answer) is None
        expected += split(text)
        # One after the other: Kannel keeps no order among those that are on their way.
        count = len(expected)
        await until(lambda n=count: len(kannel.parts()) >= n, "all parts", 30)
    await client.close()
    assert kannel.parts() == expected
