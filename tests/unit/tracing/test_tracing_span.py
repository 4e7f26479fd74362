"""What a span is and says: services.kernel.tracing with spans in memory, and without any."""

import json
import subprocess
import sys
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from otlp import traced

from proto.subjects import WINDOWS
from services.bus.connection.connection import headers_of
from services.kernel.log import LogSettings, configure, get_logger
from services.kernel.tracing import MAX_LINKS, OFF, begin, current, follow, headers
from services.kernel.tracing.settings import TracingSettings
from services.kernel.tracing.span import ATTRIBUTES, SPANS

TRACE, SPAN = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
PARENT = f"00-{TRACE}-{SPAN}-01"


def said(span):
    return dict(span.attributes)


def test_off_nothing_is_made_and_nothing_is_imported():
    """Off, every span is one object that says nothing; no service imports a tracing library to know that."""
    with begin("ingest.frame", often=True, site="market") as span:
        assert span is OFF
        assert span.child("ingest.seal") is current() is follow("inference.frame", PARENT) is OFF
        span.set_attributes(outcome="done")
        span.stage("inference.open", 1, 2)
        assert headers() == {}
    assert not span
    services = "; ".join(f"import services.{s}.service" for s in ("ingest", "inference", "aggregate", "notify"))
    program = f"import sys; {services}; print([m for m in sys.modules if m.partition('.')[0] == 'opentelemetry'])"
    found = subprocess.run([sys.executable, "-P", "-c", program], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"


def test_what_goes_on_is_one_trace():
    """A child, a stage that is over, and whoever got the header are in the trace; kinds and times are as they were."""
    with traced() as memory:
        with begin("ingest.frame", often=True, start=0, site="market", camera="door") as frame:
            with frame.child("ingest.ask") as ask:
                assert headers() == {"traceparent": ask.traceparent}
                assert headers_of(WINDOWS)["traceparent"] == ask.traceparent
                with follow("inference.frame", ask.traceparent, site="market") as answer:
                    answer.stage("inference.open", 10, 30)
                ask.set_attributes(outcome="no-worker")
            assert current() is frame
        assert current() is OFF
        opened, inference, asked, whole = memory.get_finished_spans()
    assert {s.context.trace_id for s in (opened, inference, asked, whole)} == {int(frame.trace_id, 16)}
    parents = [(s.name, s.parent and s.parent.span_id) for s in (opened, inference, asked, whole)]
    ids = [s.context.span_id for s in (inference, asked, whole)]
    assert parents == list(zip(("inference.open", "inference.frame", "ingest.ask", "ingest.frame"), [*ids, None],
                               strict=True))  # fmt: skip
    assert abs(opened.end_time - opened.start_time - 20) < 1_000_000
    assert [s.kind.name for s in (opened, inference, asked)] == ["INTERNAL", "SERVER", "CLIENT"]
    assert said(asked) == {"moretta.outcome": "no-worker"}
    assert said(whole) == {"moretta.site": "market", "moretta.camera": "door"}


@pytest.mark.parametrize("header", [
    "", "rubbish", f"01-{TRACE}-{SPAN}-01", f"00-{TRACE}-{SPAN}-00", f"00-{'0' * 32}-{SPAN}-01",
    f"00-{TRACE}-{'0' * 16}-01", f"00-{TRACE}-{SPAN}-01\n", f"00-{TRACE.upper()}-{SPAN}-01", f"{PARENT}-more",
])  # fmt: skip
def test_a_header_that_names_no_traced_span_is_as_none(header):
    """Nobody's header makes a frame traced, or breaks what it came with; what is rare begins a trace of its own."""
    with traced(ratio=0.0) as memory:
        assert follow("inference.frame", header) is OFF
        assert begin("ingest.frame", header, often=True) is OFF
        with begin("notify.decide", header, [header, PARENT]):
            pass
        [decided] = memory.get_finished_spans()
    assert decided.parent is None
    assert [link.context.span_id for link in decided.links] == [int(SPAN, 16)]


def test_a_share_of_what_is_often_is_traced():
    """A tenth of the pictures, and every window."""
    with traced(ratio=0.1) as memory:
        for _ in range(3_000):
            with begin("ingest.frame", often=True):
                pass
        assert 200 < len(memory.get_finished_spans()) < 400
        memory.clear()
        for _ in range(10):
            with begin("aggregate.window"):
                pass
        assert len(memory.get_finished_spans()) == 10


def test_links_are_the_newest_ones_and_not_too_many():
    """However many frames a window comes from."""
    with traced() as memory:
        with begin("aggregate.window", links=[f"00-{TRACE}-{n:016x}-03" for n in range(1, 1_000)]):
            pass
        [window] = memory.get_finished_spans()
    assert [link.context.span_id for link in window.links] == list(range(1_000 - MAX_LINKS, 1_000))


@given(st.text())
def test_only_words_are_said(text):
    """No address, URL, sentence or name with other signs comes out, whatever is handed over; nor a name not listed."""
    with traced() as memory:
        with begin("ingest.frame", often=True, site=text, outcome="https://user:hunter2@host/"):
            pass
        with pytest.raises(ValueError, match="says nothing of persons"):
            begin("aggregate.window", persons="7")
        [span] = memory.get_finished_spans()
    assert said(span)["moretta.outcome"] == "?"
    assert all(sign.isalnum() or sign in "_.-?" for sign in said(span)["moretta.site"])


def test_an_error_is_told_as_that_and_no_more():
    """An exception's text and stack may hold anything."""
    with traced() as memory:
        with pytest.raises(RuntimeError), begin("notify.deliver", site="market"):
            raise RuntimeError("hunter2")
        [span] = memory.get_finished_spans()
    assert span.status.status_code.name == "ERROR"
    assert "hunter2" not in span.to_json()
    assert not span.events
    assert set(span.resource.attributes) == {
        "service.name", "service.namespace", "service.version", "service.instance.id",
    }  # fmt: skip


def test_log_lines_name_the_trace(capsys):
    """While a span is the current one; others don't."""
    configure("test", LogSettings(format="json"))
    with traced(), begin("notify.decide") as span:
        get_logger().info("within")
    get_logger().info("outside")
    within, outside = map(json.loads, capsys.readouterr().err.splitlines())
    assert within["trace_id"] == span.trace_id
    assert "trace_id" not in outside


def test_nothing_that_may_be_said_is_of_people():
    """The one list of attributes holds no verdict and no count; each span's name begins with its service."""
    assert set(ATTRIBUTES) == {"site", "camera", "zone", "rule", "channel", "outcome", "reason"}
    assert {name.partition(".")[0] for name in SPANS} == {"ingest", "inference", "aggregate", "notify"}


def test_where_spans_go():
    """Without a path to where OTLP goes; with one as it is."""
    urls = {"http://c:4318": "/v1/traces", "http://c:4318/": "/v1/traces", "https://c/otlp/v1": "/otlp/v1"}
    assert {url: TracingSettings(endpoint=url).url().path for url in urls} == urls
    secret = SimpleNamespace(reveal=lambda: "abc")
    assert TracingSettings(endpoint="https://c", token=secret).headers() == {"Authorization": "Bearer abc"}
    assert TracingSettings(endpoint="https://c", token=secret, token_header="x-key").headers() == {"x-key": "abc"}
