"""A collector that takes OTLP over HTTP, or doesn't: what it got, decoded; and spans that a test makes in memory."""

import contextlib
import ssl
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from patience import wait_until

from services.kernel.tracing import span as spans
from services.kernel.tracing.engine import Traces


@dataclass(frozen=True)
class Got:
    """One span as the collector has it."""

    service: str
    name: str
    kind: int
    trace: str
    id: str
    parent: str
    links: tuple[str, ...]
    said: dict[str, str]
    lasted_ns: int
    failed: bool


@dataclass
class Collector:
    """A server on a free port. `status` and `wait_s` say how it answers, `refuses` how many spans it won't keep."""

    status: int = 200
    wait_s: float = 0.0
    refuses: int = 0
    tls: ssl.SSLContext | None = None
    requests: list[tuple[str, dict[str, str], bytes]] = field(default_factory=list)
    _server: ThreadingHTTPServer | None = None
    _thread: threading.Thread | None = None
    _over: threading.Event = field(default_factory=threading.Event)

    def start(self) -> "Collector":
        collector = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                collector.requests.append((self.path, dict(self.headers.items()), body))
                collector._over.wait(collector.wait_s)
                answer = ExportTraceServiceResponse()
                answer.partial_success.rejected_spans = collector.refuses
                with contextlib.suppress(OSError):
                    self.send_response(collector.status)
                    if collector.status in {301, 307}:
                        self.send_header("Location", "/elsewhere")
                    self.end_headers()
                    self.wfile.write(answer.SerializeToString())

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        if self.tls is not None:
            self._server.socket = self.tls.wrap_socket(self._server.socket, server_side=True)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,))
        self._thread.start()
        return self

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        self.stop()

    @property
    def url(self) -> str:
        assert self._server
        return f"{'https' if self.tls else 'http'}://localhost:{self._server.server_port}"

    @property
    def resources(self) -> list[dict[str, str]]:
        """What each process said of itself, a dictionary for each batch."""
        return [_said(one.resource.attributes) for body in self._bodies() for one in body.resource_spans]

    @property
    def spans(self) -> list[Got]:
        return [
            _got(_said(one.resource.attributes)["service.name"], span)
            for body in self._bodies()
            for one in body.resource_spans
            for scope in one.scope_spans
            for span in scope.spans
        ]

    def named(self, name: str, **said: str) -> list[Got]:
        wanted = {f"moretta.{key}": value for key, value in said.items()}
        return [span for span in self.spans if span.name == name and wanted.items() <= span.said.items()]

    def wait_for(self, condition: Callable[[], Any], what: str, limit_s: float = 60.0) -> Any:
        return wait_until(condition, lambda: f"{what}; got {[s.name for s in self.spans][-50:]}", limit_s, every_s=0.1)

    def answer(self) -> None:
        """Answer at once from now on, and what is waiting, too."""
        self._over.set()

    def _bodies(self) -> Iterator[ExportTraceServiceRequest]:
        for _, _, body in list(self.requests):
            yield ExportTraceServiceRequest.FromString(body)

    def stop(self) -> None:
        assert self._server
        assert self._thread
        self._over.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(10)


def _said(attributes: Any) -> dict[str, str]:
    assert all(one.value.WhichOneof("value") == "string_value" for one in attributes)
    return {one.key: one.value.string_value for one in attributes}


def _got(service: str, span: Any) -> Got:
    assert not span.events
    assert not span.status.message
    assert not span.trace_state
    assert not any(link.attributes for link in span.links)
    return Got(
        service, span.name, span.kind, span.trace_id.hex(), span.span_id.hex(), span.parent_span_id.hex(),
        tuple(link.span_id.hex() for link in span.links), _said(span.attributes),
        span.end_time_unix_nano - span.start_time_unix_nano, span.status.code == 2,
    )  # fmt: skip


@contextlib.contextmanager
def traced(service: str = "test", ratio: float = 1.0) -> Iterator[InMemorySpanExporter]:
    """Trace into memory while in the `with`."""
    memory = InMemorySpanExporter()
    spans.use(Traces(service, ratio, SimpleSpanProcessor(memory)))
    try:
        yield memory
    finally:
        spans.use(None)
