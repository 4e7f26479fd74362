"""Traces of the real services at a real collector: a picture's way, a window's frames, an alert's way."""

import asyncio
import os
import threading
from pathlib import Path

import pytest
import secrecy
from aiosmtpd.handlers import Sink
from aiosmtpd.smtp import SMTP
from clips import make_clip
from otlp import Collector
from site_process import Site

from services.kernel.tracing.span import ATTRIBUTES, SPANS

TOKEN = "s3cret-of-the-collector"
SERVICES = ("aggregate", "notify", "inference", "ingest")


@pytest.fixture(name="collector")
def _collector():
    collector = Collector().start()
    yield collector
    collector.stop()


@pytest.fixture(name="site")
def _site(tmp_path: Path):
    site = Site(tmp_path)
    site.server.start()
    yield site
    site.close()


@pytest.fixture(name="mail_port")
def _mail_port():
    """Where a mail server listens that takes everything."""
    loop = asyncio.new_event_loop()
    server = loop.run_until_complete(loop.create_server(lambda: SMTP(Sink(), loop=loop), "127.0.0.1", 0))
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    yield server.sockets[0].getsockname()[1]
    loop.call_soon_threadsafe(server.close)
    loop.call_soon_threadsafe(loop.stop)
    thread.join()
    loop.close()


def settings(folder: Path, smtp: int, tracing: dict[str, object]) -> dict[str, object]:
    """A site with a camera that plays and one that never will: which is told to an operator by mail."""
    clip = make_clip(folder / "clip.mp4")
    cameras = [{"id": "door", "url": str(clip), "loop": True}, {"id": "gone", "url": "/nowhere/gone.mp4"}]
    place = {"id": "market", "profile": "lab", "window_s": 2, "lateness_s": 0.5, "cameras": cameras,
             "tracking": {"max_gap_s": 0.5}}  # fmt: skip
    receivers = [{"id": "sre", "audience": "operators", "email": ["anna@example.org"]}]
    notify = {
        "smtp": {"host": "127.0.0.1", "port": smtp, "security": "none", "sender": "alerts@example.org"},
        "receivers": receivers, "routes": [{"receiver": "sre", "group_wait_s": 0}], "salt": "s3cret-salt-0123456789",
    }  # fmt: skip
    return {"sites": [place], "notify": notify, "aggregate": {"tick_s": 0.2}, "tracing": tracing}


def test_a_picture_and_an_alert_are_followed_through_the_services(site, tmp_path, collector, mail_port, monkeypatch):
    """A frame's spans, from its decoding to its sightings being stored, are one trace over two processes; a window
    names frames of its time; an operational alert, the decision to tell of it, and the mail are one over two others.
    Nothing but ids and outcomes is said, whatever the environment would have said; the token is in no log.
    """
    secrecy.keep(TOKEN)
    monkeypatch.setenv("OTEL_RESOURCE_ATTRIBUTES", "command=hunter2")
    monkeypatch.setenv("OTEL_EXPERIMENTAL_RESOURCE_DETECTORS", "process,host,os")
    monkeypatch.setenv("OTEL_SDK_DISABLED", "true")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:9")
    (tmp_path / "token").write_text(TOKEN)
    try:
        site.write(settings(tmp_path, mail_port, {"endpoint": collector.url, "ratio": 1.0, "token_file": "token"}))
        services = [site.start(name) for name in SERVICES]
        collector.wait_for(lambda: collector.named("notify.deliver", outcome="sent"), "a delivery")
        collector.wait_for(lambda: [s for s in collector.named("aggregate.window") if s.links], "a window of frames")
        site.write(settings(tmp_path, mail_port, {"endpoint": "http://127.0.0.1:9"}))  # read at start alone
        for service in services:
            collector.wait_for(lambda service=service: service.said("new settings in force"), "a reload")
        before = len(collector.requests)
        collector.wait_for(lambda: len(collector.requests) > before + 2, "more after the reload")
    finally:
        codes = [service.stop() for service in reversed(site.services)]
    assert codes == [0, 0, 0, 0]
    _frames(collector)
    _alerts(collector)
    _secrecy(collector)


def _frames(collector: Collector) -> None:
    spans = {span.id: span for span in collector.spans}
    ways = []
    for stored in collector.named("inference.publish", outcome="stored", site="market", camera="door"):
        way = [stored]
        while (above := spans.get(way[-1].parent)) is not None:
            assert above.trace == stored.trace
            way.append(above)
        ways.append([(span.service, span.name) for span in way])
    assert [
        ("moretta-inference", "inference.publish"), ("moretta-inference", "inference.frame"),
        ("moretta-ingest", "ingest.ask"), ("moretta-ingest", "ingest.frame"),
    ] in ways  # fmt: skip
    for name in ("ingest.seal", "inference.open", "inference.analyse", "inference.wipe"):
        found = collector.named(name)
        assert found
        assert {spans[one.parent].name for one in found if one.parent in spans} == {name.split(".")[0] + ".frame"}
    linked = {link for window in collector.named("aggregate.window") for link in window.links}
    assert {spans[link].name for link in linked if link in spans} == {"inference.publish"}
    assert max(len(window.links) for window in collector.named("aggregate.window")) <= 32


def _alerts(collector: Collector) -> None:
    spans = {span.id: span for span in collector.spans}
    sent = collector.named("notify.deliver", outcome="sent", site="market", channel="email")[0]
    decided = spans[sent.parent]
    assert (decided.service, decided.name) == ("moretta-notify", "notify.decide")
    assert decided.said["moretta.reason"] in {"first", "new-alerts"}
    alert = next(span for span in collector.named("aggregate.alert") if span.id in {decided.parent, *decided.links})
    assert alert.service == "moretta-aggregate"
    assert alert.said == {"moretta.site": "market", "moretta.rule": "camera-down", "moretta.outcome": "firing"}


def _secrecy(collector: Collector) -> None:
    assert {name for span in collector.spans for name in span.said} <= {f"moretta.{name}" for name in ATTRIBUTES}
    assert {span.name for span in collector.spans} <= set(SPANS)
    assert {span.said.get("moretta.site") for span in collector.spans} <= {"market", None}
    for said in collector.resources:
        assert set(said) == {"service.name", "service.namespace", "service.version", "service.instance.id"}
    for path, headers, body in collector.requests:
        assert path == "/v1/traces"
        assert headers["Authorization"] == f"Bearer {TOKEN}"
        for word in (b"hunter2", b"s3cret", b".mp4", b"example.org", _text_value(os.uname().nodename)):
            assert word not in body


def _text_value(text: str) -> bytes:
    """Returns the text as OTLP's string_value, with its length: two letters alone stand in random bytes by chance."""
    return bytes([0x0A, len(text)]) + text.encode()
