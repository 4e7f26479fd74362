"""The channel `sms` against a real HTTP server with faults: a provider as settings describe it."""

import json
import ssl
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import aiohttp
import msgspec
import pytest
from aiohttp import web
from free_ports import free_port
from http_peer import HttpPeer
from messages import delivery
from notifications import NUMBER, SITE, TEN, notification, rate, recipient

from proto.public import DeliveryV1
from services.kernel.faults import StartError
from services.kernel.settings import Secret
from services.notify.channels.http_client import failure_of
from services.notify.channels.sms.settings import ProviderSettings, SmsSettings, SuccessSettings
from services.notify.channels.sms.sms import SmsChannel
from services.notify.outcome import Failure, judge

FIRST = notification(rate())
DAY = 86_400 * 10**9


@pytest.fixture(name="channel")
async def _channel(peer: HttpPeer, logs: Callable[[], str]) -> AsyncIterator[Callable[..., SmsChannel]]:
    """`channel(url=..., max_per_day=...)`: a channel to the peer; at the end no number may be in a log."""
    made: list[SmsChannel] = []
    now = [TEN]

    def make(url: str = "", success: SuccessSettings | None = None, **more: Any) -> SmsChannel:
        provider = ProviderSettings(
            url=Secret(url or peer.url("send?key=$token")), token=Secret("s3cret-token"),
            headers={"Authorization": "Bearer $token"}, json={"to": "$to", "text": "$text", "key": "$key"},
            success=success or SuccessSettings(),
        )  # fmt: skip
        settings = SmsSettings(provider=provider, **({"timeout_s": 10.0} | more))
        made.append(SmsChannel(settings, lambda name: msgspec.structs.replace(SITE, id=name), lambda: now[0]))
        made[-1].now = now
        return made[-1]

    yield make
    for channel in made:
        await channel.close()
    assert NUMBER[2:] not in logs()


async def test_an_sms_goes_out_with_its_key(peer, channel):
    """In the recipient's language; the same key for the same SMS, another for another recipient or notification."""
    sender = channel()
    assert await sender.send(FIRST, recipient(language="fr")) is None
    assert await sender.send(FIRST, recipient(language="fr")) is None
    assert await sender.send(notification(rate(), number=2), recipient()) is None
    first, again, second = (json.loads(got.body) for got in peer.got)
    assert first["to"] == NUMBER
    assert first["text"].startswith("Marché Forville, Entrée nord : masques 62 %, sous 70 %.")
    assert first == again
    assert first["key"] != second["key"]
    assert peer.got[0].headers["Idempotency-Key"] == first["key"]
    assert peer.got[0].headers["Authorization"] == "Bearer s3cret-token"
    assert peer.got[0].path == "/send?key=s3cret-token"


@pytest.mark.parametrize(
    ("answer", "failure"),
    [
        (web.Response(status=503), Failure("unavailable", "data", 503)),
        (web.Response(status=503, headers={"Retry-After": "7"}), Failure("unavailable", "data", 503, retry_after_s=7)),
        (web.Response(status=429, headers={"Retry-After": "9"}), Failure("rate-limited", "data", 429, retry_after_s=9)),
        (web.Response(status=401, text=NUMBER), Failure("denied", "data", 401)),
        (web.Response(status=400, text=NUMBER), Failure("rejected", "data", 400)),
        (web.Response(status=302, headers={"Location": "/elsewhere"}), Failure("misconfigured", "data", 302)),
        ("drop", Failure("disconnected", "data")),
        ("garbage", Failure("unavailable", "data", detail="ClientResponseError")),
        ("hang", Failure("timeout", "data")),
    ],
)
async def test_each_fault_is_told_apart(peer, channel, answer, failure: Failure):
    """What a server says is never kept, a redirect never followed, nothing waited for longer than allowed."""
    peer.answers = [answer]
    assert await channel(timeout_s=0.5 if answer == "hang" else 20.0).send(FIRST, recipient()) == failure
    assert len(peer.got) == 1


async def test_a_server_that_is_not_there_or_not_known_by_name(peer, channel):
    """In the operating system's words, without its address."""
    nowhere = channel(f"http://127.0.0.1:{free_port()}/x")
    assert await nowhere.send(FIRST, recipient()) == Failure("connect", "connect", detail="connection refused")
    unknown = await channel("http://nobody.invalid/s3cret", allow_http=True).send(FIRST, recipient())
    assert unknown is not None
    assert (unknown.kind, unknown.detail) == ("connect", "the name cannot be resolved")
    assert failure_of(aiohttp.ConnectionTimeoutError()) == Failure("timeout", "connect")


async def test_a_certificate_is_checked(channel, certificates, wrong_name):
    """Only an authority that is known or named, and only for its host."""
    async with HttpPeer(certificates.server) as known, HttpPeer(wrong_name.server) as other:
        stranger = await channel(known.url()).send(FIRST, recipient())
        misnamed = await channel(other.url(), ca_file=str(wrong_name.ca_file)).send(FIRST, recipient())
        assert await channel(known.url(), ca_file=str(certificates.ca_file)).send(FIRST, recipient()) is None
    assert (len(known.got), len(other.got)) == (1, 0)
    for failure in (stranger, misnamed):
        assert failure is not None
        assert (failure.kind, failure.stage) == ("tls", "connect")
        assert judge(failure).loud
        assert failure.detail in {"unable to get local issuer certificate", "IP address mismatch"}


def test_a_missing_authority_is_told_at_the_start(tmp_path: Path):
    """By its path in the settings."""
    (tmp_path / "ca.pem").write_text("nothing")
    settings = SmsSettings(provider=ProviderSettings(url=Secret("https://x")), ca_file=str(tmp_path / "ca.pem"))
    with pytest.raises(StartError, match=r"notify\.sms\.ca_file: cannot use .*: it holds no PEM"):
        SmsChannel(settings, lambda _: SITE)
    assert ssl.HAS_TLSv1_2


@pytest.mark.parametrize(("fault", "kind"), [("drip", "timeout"), ("short", "disconnected")])
async def test_a_body_that_does_not_end_undoes_no_status(peer, channel, fault: str, kind: str):
    """Sent is sent: a second SMS would cost, and reach people twice. Only a rule about the body leaves it in doubt."""
    peer.answers, timeout_s = [fault, fault], 0.5 if fault == "drip" else 20.0
    assert await channel(timeout_s=timeout_s).send(FIRST, recipient()) is None
    ruled = channel(success=SuccessSettings(matches="OK"), timeout_s=timeout_s, max_per_day=1)
    assert await ruled.send(FIRST, recipient()) == Failure(kind, "data")
    assert await ruled.send(FIRST, recipient()) == Failure("cost-cap", "data")


async def test_a_body_decides_where_a_rule_says_so(peer, channel):
    """An error that comes with 200 is no success; a body without an end is cut."""
    rule = SuccessSettings(pointer="/status", matches="0|queued")
    peer.answers = [
        web.json_response({"status": "queued"}),
        web.json_response({"status": 7}),
        web.Response(text="x" * 10**6),
    ]
    sender = channel(success=rule)
    outcomes = [await sender.send(FIRST, recipient()) for _ in range(3)]
    assert outcomes == [None, Failure("unavailable", "data", 200), Failure("unavailable", "data", 200)]


async def test_a_day_costs_no_more_than_its_cap(peer, channel, logs):
    """Beyond it nothing is sent and one error is logged; what surely failed is free; the next day begins anew."""
    sender = channel(max_per_day=2)
    peer.answers = [web.Response(status=500), web.Response(), web.Response()]
    outcomes = [await sender.send(notification(rate(), number=number), recipient()) for number in range(1, 6)]
    capped = Failure("cost-cap", "data")
    assert outcomes == [Failure("unavailable", "data", 500), None, None, capped, capped]
    assert logs().count("daily SMS budget spent") == 1
    other = channel(max_per_day=3)
    other.go_on_from(sender)
    assert [await other.send(FIRST, recipient()) for _ in range(2)] == [None, capped]
    sender.now[0] += DAY
    assert await sender.send(FIRST, recipient()) is None


async def test_a_time_out_may_have_cost_something(peer, channel):
    """The gateway may have sent it all the same."""
    peer.answers = ["hang"]
    sender = channel(max_per_day=1, timeout_s=0.3)
    assert [(await sender.send(FIRST, recipient())).kind for _ in range(2)] == ["timeout", "cost-cap"]


async def test_a_restart_forgets_nothing_that_was_paid(channel):
    """Records of today count, those of yesterday don't."""
    records = [_sent(TEN - 9 * 3600 * 10**9, "1"), _sent(TEN - 11 * 3600 * 10**9, "2")]  # 01:00, and 23:00 before
    sender = channel(max_per_day=3, max_segments=2)
    sender.recount("forville", records)
    assert [await sender.send(notification(rate(), number=n), recipient()) for n in (3, 4)] == [
        None,
        Failure("cost-cap", "data"),
    ]


def _sent(at: int, number: str) -> DeliveryV1:
    return delivery(notification=number * 16, channel="sms", at=at)


async def test_a_text_that_cannot_be_written_raises_nothing(peer, channel):
    """A catalogue that is gone is a fault of ours, told by its kind; others go out."""
    assert await channel().send(FIRST, recipient(language="xx")) == Failure("other", "data", detail="LookupError")
    assert await channel(max_segments=1).send(FIRST, recipient()) is None
    assert len(peer.got) == 1


@pytest.mark.parametrize(
    "told", [notification(rate(end=10**21)), notification(rate(), reason="report")], ids=["calendar", "report"]
)
async def test_what_no_sms_can_say_is_final(peer, channel, told):
    """Nothing is sent, and nothing tried again."""
    failure = await channel().send(told, recipient())
    assert failure is not None
    assert not judge(failure).retry
    assert peer.got == []
