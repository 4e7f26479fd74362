"""Sends spans to the collector, with one thread and one bounded queue. Nothing waits for either."""

import http.client
import threading
from collections import deque
from collections.abc import Callable, Mapping
from urllib.parse import SplitResult

from google.protobuf.message import DecodeError
from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse
from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor
from opentelemetry.sdk.trace import Span as SdkSpan

from services.kernel.log import get_logger
from services.kernel.tls import Tls, saw
from services.kernel.tracing.span import DROPPED, SENT, DropReason

log = get_logger()

QUEUE, BATCH = 2_048, 256
EVERY_S = 2.0
_ANSWER_S = 5.0
_MAX_BYTES = 65_536
Send = Callable[[bytes], int]
"""Sends an encoded batch; returns how many spans were refused. OSError or HTTPException if nobody took it."""


class CollectorRefused(Exception):
    """The collector refused a batch; the text names the status of its answer."""


class Sending(SpanProcessor):
    """Hands ended spans to `send` in batches. Drops and counts spans if the queue is full or nobody takes them.

    OpenTelemetry's own batch processor does not report what it dropped, and its shutdown may take half a minute.
    """

    def __init__(self, send: Send) -> None:
        self._send = send
        self._queue: deque[ReadableSpan] = deque()
        self._wake, self._over = threading.Event(), False
        self._trouble = ""
        self._thread = threading.Thread(target=self._work, name="send spans", daemon=True)
        self._thread.start()

    def on_start(self, span: SdkSpan, parent_context: Context | None = None) -> None:
        """Do nothing: only ended spans are sent."""

    def on_end(self, span: ReadableSpan) -> None:
        """Queue an ended span; return at once."""
        if self._over:
            _drop(1, "stopped")
        elif len(self._queue) >= QUEUE:
            _drop(1, "queue-full")
        else:
            self._queue.append(span)
            if len(self._queue) >= BATCH:
                self._wake.set()

    def close(self, limit_s: float) -> None:
        """Send what is left, within a limit; drop the rest."""
        self._over = True
        self._wake.set()
        self._thread.join(limit_s)
        _drop(len(self._queue), "stopped")

    def _work(self) -> None:
        while not self._over:
            self._wake.wait(EVERY_S)
            self._wake.clear()
            while self._queue:
                self._one_batch()

    def _one_batch(self) -> None:
        batch = [self._queue.popleft() for _ in range(min(BATCH, len(self._queue)))]
        try:
            refused = self._send(encode_spans(batch).SerializeToString())
        except Exception as error:  # no error may end the thread
            # Log only the system's text or the status: an error's own text may hold what was sent.
            why = (
                str(error)
                if isinstance(error, CollectorRefused)
                else getattr(error, "strerror", None) or type(error).__name__
            )
            _drop(len(batch), "refused" if isinstance(error, CollectorRefused) else "unreachable")
            self._log_change(why)
        else:
            _drop(refused, "refused")
            SENT.inc(len(batch) - refused)
            self._log_change("the collector refused some" if refused else "")

    def _log_change(self, trouble: str) -> None:
        """Log a change, not every batch."""
        if trouble and trouble != self._trouble:
            log.warning("traces dropped", why=trouble)
        elif self._trouble and not trouble:
            log.info("the collector takes traces again")
        self._trouble = trouble


class Collector:
    """Posts each batch to the collector on a new connection (OTLP/HTTP 1, opentelemetry.io/docs/specs/otlp).

    It follows no redirect and uses no proxy: the token goes only to the host that the settings name.
    """

    def __init__(self, url: SplitResult, headers: Mapping[str, str], tls: Tls | None) -> None:
        self._url, self._tls = url, tls
        self._headers = {**headers, "Content-Type": "application/x-protobuf", "User-Agent": "moretta"}

    def post(self, body: bytes) -> int:
        """Send a batch; see `Send`."""
        connection = self._connection()
        try:
            connection.request("POST", self._url.path, body, self._headers)
            saw("tracing", connection.sock)
            answer = connection.getresponse()
            content = answer.read(_MAX_BYTES)
        finally:
            connection.close()
        if not 200 <= answer.status < 300:
            raise CollectorRefused(f"it answers {answer.status}")
        return _refused_of(content)

    def _connection(self) -> http.client.HTTPConnection:
        host, port = str(self._url.hostname), self._url.port
        if self._tls is None:
            return http.client.HTTPConnection(host, port, timeout=_ANSWER_S)
        return http.client.HTTPSConnection(host, port, timeout=_ANSWER_S, context=self._tls.context)


def _refused_of(content: bytes) -> int:
    try:
        return int(ExportTraceServiceResponse.FromString(content).partial_success.rejected_spans)
    except DecodeError:  # the collector took them; its answer has another format
        return 0


def _drop(count: int, reason: DropReason) -> None:
    if count > 0:
        DROPPED.labels(reason).inc(count)
