"""Spans as the services see them. An engine exists only while tracing is on; without it, every span is `OFF`."""

from collections.abc import Iterable
from contextvars import ContextVar, Token
from types import TracebackType
from typing import Literal, Protocol, Self, get_args

from prometheus_client import Counter

from services.kernel.log import note

TRACEPARENT = "traceparent"
"""The header that names a span to the next service (W3C Trace Context, level 2)."""
MAX_LINKS = 32
"""Maximum number of frames that a window's span links to: the newest ones."""
Attribute = Literal["site", "camera", "zone", "rule", "channel", "outcome", "reason"]
ATTRIBUTES: tuple[Attribute, ...] = get_args(Attribute)
"""All that a span may say besides its name and its times: ids from the settings, and words of outcome enums."""
Kind = Literal["internal", "client", "server", "producer", "consumer"]
Name = Literal[
    "ingest.frame", "ingest.seal", "ingest.ask", "inference.frame", "inference.open", "inference.analyse",
    "inference.wipe", "inference.publish", "aggregate.window", "aggregate.alert", "notify.decide", "notify.deliver",
]  # fmt: skip
SPANS: dict[Name, tuple[Kind, str]] = {
    "ingest.frame": ("internal", "one picture, from `decode()` returning it to its end; `outcome` as in the metric"),
    "ingest.seal": ("internal", "scaling is done: the picture is sealed, and its pixels are overwritten"),
    "ingest.ask": ("client", "one try to have it analysed; `outcome` is the worker's answer, or that there was none"),
    "inference.frame": ("server", "one frame, from the socket to its answer and to its sightings being handed on"),
    "inference.open": ("internal", "it is decrypted"),
    "inference.analyse": ("internal", "both networks look at it"),
    "inference.wipe": ("internal", "its pixels are overwritten"),
    "inference.publish": ("producer", "its sightings wait for JetStream and are stored, or `lost`"),
    "aggregate.window": ("producer", "a window is published; linked to the newest sampled frames of its time"),
    "aggregate.alert": ("producer", "an alert of a window is published, or an operational one"),
    "notify.decide": ("consumer", "alerts are told, why (`reason`), and the decision is stored"),
    "notify.deliver": ("client", "one attempt to deliver to one recipient, until it is recorded"),
}
"""Every span: its relation to its neighbours (OpenTelemetry's SpanKind), and what it records."""
DropReason = Literal["queue-full", "unreachable", "refused", "stopped"]
DROPPED = Counter("moretta_tracing_spans_dropped_total", "Spans that the collector did not get", ["reason"])
SENT = Counter("moretta_tracing_spans_sent_total", "Spans that the collector took")


class Span:
    """One stage. This base class records nothing. In a `with` block, a span is the current one; it ends there."""

    __slots__ = ()
    traceparent = ""
    """The header's value for the next service; empty: this stage is not traced."""
    trace_id = ""

    def __bool__(self) -> bool:
        """Return whether this span is recorded."""
        return False

    def __enter__(self) -> Self:
        """Become the current span."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End the span."""

    def set_attributes(self, **attributes: str | None) -> None:
        """Add attributes: only names in ATTRIBUTES, and only words and ids."""

    def child(self, name: Name, **attributes: str | None) -> "Span":
        """Return a span within this one that begins now."""
        del name, attributes
        return self

    def stage(self, name: Name, start: int, end: int) -> None:
        """Record a stage within this one that has ended; times are ns, `boottime_ns`."""


OFF = Span()
"""The span that records nothing."""


class Engine(Protocol):
    """A maker of spans."""

    def begin(
        self,
        name: Name,
        parent: str,
        links: Iterable[str],
        *,
        often: bool,
        start: int | None,
        attributes: dict[str, str | None],
    ) -> Span: ...

    def follow(self, name: Name, parent: str, *, start: int | None, attributes: dict[str, str | None]) -> Span: ...


_ENGINE: Engine | None = None
_CURRENT: ContextVar[Span] = ContextVar("span", default=OFF)


def use(engine: Engine | None) -> None:
    """Make spans with this engine from now on; None: make none."""
    global _ENGINE  # noqa: PLW0603 - there is one for the process, as there is one registry of metrics
    _ENGINE = engine
    note("trace_id", None if engine is None else lambda: current().trace_id)


def begin(
    name: Name,
    parent: str = "",
    links: Iterable[str] = (),
    *,
    often: bool = False,
    start: int | None = None,
    **attributes: str | None,
) -> Span:
    """Return a span that continues the trace of `parent`, or begins a trace; `start` is `boottime_ns`, None: now.

    With `often`, only a share of spans begins a trace. `links` are the traceparents of the spans that led to this one.
    """
    return (
        OFF if _ENGINE is None else _ENGINE.begin(name, parent, links, often=often, start=start, attributes=attributes)
    )


def follow(name: Name, parent: str, *, start: int | None = None, **attributes: str | None) -> Span:
    """Return a span that continues the trace of `parent`; OFF if `parent` is not traced."""
    return OFF if _ENGINE is None or not parent else _ENGINE.follow(name, parent, start=start, attributes=attributes)


def current() -> Span:
    """Return the span whose `with` block is running, or OFF."""
    return _CURRENT.get()


def enter(span: Span) -> Token[Span]:
    """Make a span the current one."""
    return _CURRENT.set(span)


def leave(token: Token[Span]) -> None:
    """Make the previous span the current one again."""
    _CURRENT.reset(token)


def headers() -> dict[str, str]:
    """Return the header that names the current span to the receiver of a message; empty without a span."""
    traceparent = _CURRENT.get().traceparent
    return {TRACEPARENT: traceparent} if traceparent else {}
