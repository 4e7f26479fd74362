"""The channel `webhook` against a real HTTP server, and beside what Debian's Alertmanager sends of the same alerts."""

import asyncio
import hmac
import json
import re
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from hashlib import sha256
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import aiohttp
import alerting
import pytest
from aiohttp import web
from authority import only_these
from free_ports import in_a_row
from http_peer import HttpPeer
from notifications import MINUTE, SITE, TEN, fault, notification, rate, recipient
from patience import patient, until
from prometheus_client import REGISTRY

from services.kernel.settings import Secret
from services.notify.channels.webhook.webhook import WebhookChannel, WebhookSettings
from services.notify.outcome import Failure, judge
from services.notify.recipient import Recipient

SECRET = "s3cret-0123456789"
SUBSCRIBING = Path(__file__).resolve().parents[3] / "docs" / "other-systems.md"


@pytest.fixture(name="channel")
async def _channel(peer: HttpPeer, logs: Callable[[], str]) -> AsyncIterator[Callable[..., WebhookChannel]]:
    """`channel(token=..., clock=...)`: a channel whose receiver has the peer for a webhook."""
    made: list[WebhookChannel] = []

    def make(url: str = "", clock: Callable[[], int] = lambda: TEN, **more: Any) -> WebhookChannel:
        hook = WebhookSettings(url=Secret(url or peer.url("hook/s3cret")), secret=Secret(SECRET), **more)
        receiver = SimpleNamespace(id="field-staff", webhooks=[hook])
        made.append(WebhookChannel([receiver], lambda _: SITE, "https://m.example", clock))
        return made[-1]

    yield make
    for channel in made:
        await channel.close()
    assert str(peer.port) not in logs()


async def test_a_notification_is_called_out_and_signed(peer, channel):
    """As JSON, under a key that a second call has too, with the token; the signature is checked as the docs say."""
    sender, to = channel(token=Secret("t0ken")), recipient(peer.url("hook/s3cret"))
    assert [await sender.send(notification(rate()), to) for _ in range(2)] == [None, None]
    got, again = peer.got
    assert (got.method, got.path, got.headers["Content-Type"]) == ("POST", "/hook/s3cret", "application/json")
    assert (got.headers["Idempotency-Key"], got.headers["Authorization"]) == (f"{1:016x}", "Bearer t0ken")
    assert got.body == again.body
    assert json.loads(got.body)["commonLabels"]["alertname"] == "mask-rate"
    verified = _documented_check()
    header = got.headers["Moretta-Signature"]
    assert verified(SECRET, header, got.body, now=TEN // 10**9 + 299)
    assert not verified(SECRET, header, got.body, now=TEN // 10**9 + 301)
    assert not verified(SECRET, header, got.body + b" ", now=TEN // 10**9)
    assert not verified("another-secret-00", header, got.body, now=TEN // 10**9)
    assert header.endswith(hmac.new(SECRET.encode(), b"%d." % (TEN // 10**9) + got.body, sha256).hexdigest())


@pytest.mark.parametrize(
    "answer",
    [
        "drip", "short", web.Response(headers={"Retry-After": "Mon, 01 Jan 2024 00:00:00 +99999999999999999999"}),
    ],
)  # fmt: skip
async def test_what_was_accepted_is_not_sent_again(peer, channel, answer):
    """2xx is the whole answer: neither its body nor its headers can undo it."""
    peer.answers = [answer]
    sender = channel(timeout_s=0.5 if answer == "drip" else 20.0)
    assert await sender.send(notification(rate()), recipient(peer.url("hook/s3cret"))) is None


def _documented_check() -> Callable[..., bool]:
    """The example of docs/other-systems.md, as it stands there."""
    examples = re.findall(r"```python\n(.*?)```", SUBSCRIBING.read_text(), re.DOTALL)
    [code] = [example for example in examples if "def verified" in example]
    names: dict[str, Any] = {}
    exec(code, names)
    found: Callable[..., bool] = names["verified"]
    return found


@pytest.mark.parametrize(
    ("answer", "failure"),
    [
        (web.Response(status=500), Failure("unavailable", "data", 500)),
        (
            web.Response(status=429, headers={"Retry-After": "30"}),
            Failure("rate-limited", "data", 429, retry_after_s=30),
        ),
        (web.Response(status=403), Failure("denied", "data", 403)),
        (web.Response(status=404), Failure("rejected", "data", 404)),
        (web.Response(status=308, headers={"Location": "/x"}), Failure("misconfigured", "data", 308)),
        ("drop", Failure("disconnected", "data")),
        ("hang", Failure("timeout", "data")),
    ],
)
async def test_each_fault_is_told_apart(peer, channel, answer, failure: Failure):
    """4xx is final but for logins and limits; a redirect is not followed."""
    peer.answers = [answer]
    sender = channel(timeout_s=0.5 if answer == "hang" else 20.0)
    assert await sender.send(notification(rate()), recipient(peer.url("hook/s3cret"))) == failure
    assert len(peer.got) == 1


async def test_what_cannot_be_sent_is_final(peer, channel):
    """A webhook that the settings have no longer, a report, a time beyond the calendar."""
    sender, to = channel(), recipient(peer.url("hook/s3cret"))
    cases = [(notification(rate()), recipient("https://gone")), (notification(reason="report"), to)]
    for told, whom in [*cases, (notification(rate(since=10**21)), to)]:
        failure = await sender.send(told, whom)
        assert failure is not None
        assert not judge(failure).retry
    assert peer.got == []


async def test_a_storms_document_is_written_beside_the_loop(peer, channel, monkeypatch):
    """Ten thousand alerts take seconds: meanwhile the loop turns, leases are renewed, and new settings may close it."""
    turns, writes, turned = 0, asyncio.Event(), threading.Event()
    loop = asyncio.get_running_loop()

    def slow(*_: object, **__: object) -> dict[str, str]:
        loop.call_soon_threadsafe(writes.set)
        assert turned.wait(patient()), "the loop stands still"
        return {"version": "4"}

    monkeypatch.setattr("services.notify.channels.webhook.webhook.payload", slow)
    sender, to = channel(), recipient(peer.url("hook/s3cret"))
    sending = asyncio.create_task(sender.send(notification(rate()), to))
    while not sending.done():
        await asyncio.sleep(0.01)
        turns += 1
        if turns > 10:
            turned.set()
    assert (await sending, len(peer.got)) == (None, 1)
    writes.clear()
    turned.clear()
    sending = asyncio.create_task(sender.send(notification(rate()), to))
    await writes.wait()
    await sender.close()
    turned.set()
    assert await sending == Failure("disconnected", "data")
    assert judge(Failure("disconnected", "data")).retry
    assert len(peer.got) == 1


async def test_each_receivers_webhook_has_its_own_secrets(peer):
    """Two receivers may share a server; a catalogue that is gone raises nothing."""
    hooks = {name: WebhookSettings(url=Secret(peer.url()), token=Secret(name), max_alerts=1) for name in ("a", "b")}
    receivers = [SimpleNamespace(id=name, webhooks=[hook]) for name, hook in hooks.items()]
    sender = WebhookChannel(receivers, lambda _: SITE)
    told = notification(rate(), rate(alert="1" * 16))
    for name in ("b", "a"):
        assert await sender.send(told, Recipient(name, peer.url(), "d" * 64, "fr")) is None
    failure = await sender.send(told, Recipient("a", peer.url(), "d" * 64, "xx"))
    await sender.close()
    assert failure == Failure("other", "data", detail="LookupError")
    assert [got.headers["Authorization"] for got in peer.got] == ["Bearer b", "Bearer a"]
    assert not any("Moretta-Signature" in got.headers for got in peer.got)
    assert [json.loads(got.body)["truncatedAlerts"] for got in peer.got] == [1, 1]


async def test_a_certificate_is_checked(channel, certificates):
    """Nothing goes to a server that nobody vouches for."""
    async with HttpPeer(certificates.server) as peer:
        to = recipient(peer.url())
        failure = await channel(peer.url()).send(notification(rate()), to)
        assert failure is not None
        assert failure.kind == "tls"
        assert await channel(peer.url(), ca_file=str(certificates.ca_file)).send(notification(rate()), to) is None
    assert len(peer.got) == 1


async def test_a_server_that_asks_for_a_certificate_gets_ours(channel, ours, monkeypatch):
    """Each webhook has its own; when the server's ends is a metric."""
    only_these(monkeypatch)
    async with HttpPeer(ours.server) as peer:
        to = recipient(peer.url())
        assert await channel(peer.url(), ca_file=str(ours.ca_file)).send(notification(rate()), to) is not None
        known = channel(peer.url(), ca_file=str(ours.ca_file), client_cert_file=str(ours.both))
        assert await known.send(notification(rate()), to) is None
    assert len(peer.got) == 1
    for side in ("own", "peer"):
        labels = {"use": "webhook", "side": side}
        assert REGISTRY.get_sample_value("moretta_certificate_expiry_timestamp_seconds", labels)


@pytest.fixture(name="alertmanager")
def _alertmanager(tmp_path: Path, peer: HttpPeer) -> Iterator[str]:
    """A real Alertmanager's URL; it groups as we do and calls the peer."""
    alerting.require_alertmanager()
    route = {"receiver": "field-staff", "group_by": ["site", "audience"], "group_wait": "1s", "group_interval": "1s"}
    hooks = [{"url": peer.url("real"), "send_resolved": True}]
    settings = json.dumps({"route": route, "receivers": [{"name": "field-staff", "webhook_configs": hooks}]})
    with alerting.alertmanager(tmp_path, settings, in_a_row(1)) as running:
        yield running.url


async def test_our_document_is_what_alertmanager_makes_of_our_alerts(peer, channel, alertmanager):
    """The same alerts through a real Alertmanager: the same fields, names, labels, and what they have in common."""
    since = time.time_ns() - 5 * MINUTE
    known = {"since": since, "start": since, "end": since + MINUTE}
    told = notification(
        rate(**known), rate(alert="1" * 16, zone="south", **known), rate(alert="2" * 16, rule="busy", **known)
    )
    assert await channel().send(told, recipient(peer.url("hook/s3cret"))) is None
    ours = json.loads(peer.got[0].body)
    fields = ("labels", "annotations", "startsAt", "generatorURL")
    await _post(alertmanager, [{name: alert[name] for name in fields} for alert in ours["alerts"]])
    # It calls at once, since the alerts are old: the first call may be about the first of them alone.
    await until(lambda: len(json.loads(peer.got[-1].body)["alerts"]) == len(ours["alerts"]) and len(peer.got) > 1,
                "Alertmanager's call about all", 60)  # fmt: skip
    theirs = json.loads(peer.got[-1].body)
    assert set(ours) == set(theirs)
    same = ("version", "status", "receiver", "truncatedAlerts", "groupLabels", "commonLabels", "commonAnnotations")
    assert {name: ours[name] for name in same} == {name: theirs[name] for name in same}
    assert {alert["fingerprint"]: alert for alert in ours["alerts"]} == {
        alert["fingerprint"]: alert for alert in theirs["alerts"]
    }
    assert re.fullmatch(r'\{\}(/\{.+\})?:\{audience="field", site="forville"\}', ours["groupKey"])
    assert theirs["groupKey"] == '{}:{audience="field", site="forville"}'


async def test_alertmanager_takes_what_is_over(channel, peer, alertmanager):
    """An operational alert that ended: names and times are of the form that its API demands."""
    since = time.time_ns() - 5 * MINUTE
    told = notification(fault(state="resolved", since=since, at=since + MINUTE))
    assert await channel().send(told, recipient(peer.url("hook/s3cret"))) is None
    fields = ("labels", "annotations", "startsAt", "endsAt", "generatorURL")
    [alert] = json.loads(peer.got[0].body)["alerts"]
    await _post(alertmanager, [{name: alert[name] for name in fields}])


async def _post(alertmanager: str, alerts: list[dict[str, Any]]) -> None:
    async with (
        aiohttp.ClientSession() as session,
        session.post(f"{alertmanager}/api/v2/alerts", json=alerts) as answer,
    ):
        assert answer.status == 200, await answer.text()
