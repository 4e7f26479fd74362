"""How spans get to a collector that takes them, and what becomes of them where it is dead, slow, refusing or a liar."""

import socket
import ssl
import threading
import time

import pytest
from authority import Authority
from otlp import Collector
from patience import patient, wait_until
from prometheus_client import REGISTRY

from services.ingest.settings import IngestFile
from services.kernel.faults import StartError
from services.kernel.settings import Secret, SettingsError, load
from services.kernel.tracing import begin, sending, settings
from services.kernel.tracing.settings import TracingSettings

TOKEN = "s3cret-of-the-collector"


def dropped(reason: str) -> float:
    return REGISTRY.get_sample_value("moretta_tracing_spans_dropped_total", {"reason": reason}) or 0.0


def sent() -> float:
    return REGISTRY.get_sample_value("moretta_tracing_spans_sent_total") or 0.0


def tell(count: int = 1) -> float:
    """Make spans; returns how many seconds that took."""
    began = time.monotonic()
    for _ in range(count):
        with begin("aggregate.window", site="market", zone="_site"):
            pass
    return time.monotonic() - began


@pytest.fixture(name="collect")
def _collect():
    started = []

    def collect(**how) -> Collector:
        started.append(Collector(**how).start())
        return started[-1]

    yield collect
    for collector in started:
        collector.stop()


@pytest.fixture(name="trace")
def _trace(monkeypatch):
    """`trace(url, **settings)`: trace to there; what ends it is returned, and called at the end at the latest."""
    monkeypatch.setattr(sending, "EVERY_S", 0.2)
    ends = []

    def trace(url: str, **more):
        ends.append(settings.start("test", TracingSettings(endpoint=url, ratio=1.0, **more)))
        return ends[-1]

    yield trace
    for end in ends:
        end()


def test_what_is_over_is_sent_and_the_rest_at_the_end(collect, trace):
    """In batches, with the token in the header that was asked for; what the last seconds had goes with the end."""
    collector, before = collect(), sent()
    end = trace(collector.url, token=Secret(TOKEN), token_header="x-key")
    tell(300)
    end()
    assert len(collector.spans) == 300
    assert sent() - before == 300
    assert {headers["x-key"] for _, headers, _ in collector.requests} == {TOKEN}
    assert tell() < patient(5)
    assert len(collector.spans) == 300


def test_a_dead_collector_costs_a_counter(trace, capsys):
    """Nobody listens: spans are dropped and counted, it is said once, and the end is not held up."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # and does not listen
        before = dropped("unreachable")
        end = trace(f"http://127.0.0.1:{taken.getsockname()[1]}", token=Secret(TOKEN))
        assert tell(10) < patient(5)
        wait_until(lambda: dropped("unreachable") - before == 10, "the first ten are dropped")
        tell(10)
        end()
    assert dropped("unreachable") - before == 20
    assert capsys.readouterr().out.count("traces dropped") == 1


def test_a_slow_collector_keeps_nobody(collect, trace, monkeypatch):
    """It takes a request and says nothing: the queue is bounded, who makes spans does not wait, nor does the end."""
    monkeypatch.setattr(settings, "TIMEOUT_S", 0.5)
    before, left = dropped("queue-full"), dropped("stopped")
    collector = collect(wait_s=patient(30))
    end = trace(collector.url)
    assert tell(sending.QUEUE + 1_000) < patient(15)
    assert dropped("queue-full") - before >= 1_000 - sending.BATCH
    began = time.monotonic()
    end()
    assert time.monotonic() - began < patient(10)
    assert dropped("stopped") > left
    collector.answer()
    senders = lambda: [one for one in threading.enumerate() if one.name == "send spans"]  # noqa: E731
    wait_until(lambda: not senders(), "the sender ends, or it would count into the next test")


@pytest.mark.parametrize(("how", "counted"), [({"status": 401}, 4), ({"status": 307}, 4), ({"refuses": 3}, 3)])
def test_a_refusing_collector_is_not_asked_again(collect, trace, how, counted):
    """An error, a redirection, which is not followed, or some of them refused: counted, and not sent twice."""
    collector, before = collect(**how), dropped("refused")
    end = trace(collector.url)
    tell(4)
    end()
    assert dropped("refused") - before == counted
    assert len(collector.requests) == 1


def test_tls_is_what_the_settings_say(collect, trace, tmp_path):
    """Whoever `ca_file` vouches for is believed, and nobody else."""
    authority = Authority()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    (tmp_path / "server.pem").write_bytes(authority.issue("localhost"))
    context.load_cert_chain(tmp_path / "server.pem")
    (tmp_path / "ours.pem").write_bytes(authority.pem)
    (tmp_path / "other.pem").write_bytes(Authority().pem)
    collector, before = collect(tls=context), dropped("unreachable")
    end = trace(collector.url, ca_file=str(tmp_path / "other.pem"), token=Secret(TOKEN))
    tell()
    end()
    assert dropped("unreachable") - before == 1
    end = trace(collector.url, ca_file=str(tmp_path / "ours.pem"))
    tell()
    end()
    assert len(collector.spans) == 1
    with pytest.raises(StartError, match=r"tracing\.ca_file: cannot use .*gone.pem"):
        trace(collector.url, ca_file=str(tmp_path / "gone.pem"))


@pytest.mark.parametrize(
    ("section", "line"),
    [
        ("{endpoint: 'http://u:hunter2@c:4318'}", "tracing.endpoint: must be a URL such as http://collector:4318, wi"),
        ("{endpoint: 'http://c:4318/v1?key=hunter2'}", "tracing.endpoint: must be a URL such as"),
        ("{endpoint: 'http://c:99999'}", "tracing.endpoint: must have a port from 1 to 65535, or none"),
        ("{endpoint: 'http://c', token: hunter2}", "tracing.endpoint: must be https, or on this machine: the token"),
        ("{endpoint: 'https://c', token: 'a hunter2'}", "tracing.token: must be one word of printable ASCII"),
        ("{endpoint: 'https://c', token_header: x-key}", "tracing.token: is missing; a header needs it"),
        ("{endpoint: 'http://c', ca_file: system}", "tracing.endpoint: must be https where certificates are named"),
        ("{ratio: 2}", "tracing.ratio: must be a number at least 0"),
        ("{headers: {a: b}}", "tracing.headers: unknown key; known here are endpoint, ratio, token"),
    ],
)
def test_a_bad_section_is_refused_with_what_is_right(tmp_path, section, line):
    """One line: where, what would be right, no secret."""
    file = tmp_path / "moretta.yaml"
    file.write_text(f"sites: [{{id: market}}]\ntracing: {section}\n")
    with pytest.raises(SettingsError) as error:
        load(file, IngestFile, {})
    [said] = str(error.value).splitlines()
    assert said.removeprefix(f"{file}: ").startswith(line)
    assert "hunter2" not in said


def test_without_the_library_it_is_said_what_brings_it(monkeypatch):
    """A plain `pip install moretta[ingest]` has none."""
    monkeypatch.setitem(__import__("sys").modules, "services.kernel.tracing.engine", None)
    with pytest.raises(StartError, match=r"`pip install moretta\[tracing\]` brings it"):
        settings.start("test", TracingSettings(endpoint="http://c"))
