"""Makes spans with OpenTelemetry's SDK.

This module is imported only while tracing is on, after OpenTelemetry's environment variables have been removed.
"""

import random
import re
import secrets
import time
from collections.abc import Iterable, Sequence
from contextvars import Token
from importlib.metadata import version
from types import TracebackType
from typing import Self

from opentelemetry.context import Context
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import SpanLimits, SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.sampling import ALWAYS_ON
from opentelemetry.trace import (
    Link,
    NonRecordingSpan,
    SpanContext,
    SpanKind,
    Status,
    StatusCode,
    TraceFlags,
    Tracer,
    format_span_id,
    format_trace_id,
    set_span_in_context,
)
from opentelemetry.trace import Span as OtelSpan

from services.kernel.clock import boottime_ns
from services.kernel.tracing.span import ATTRIBUTES, MAX_LINKS, OFF, SPANS, Name, Span, enter, leave

_TRACEPARENT = re.compile(r"00-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})\Z")
_WORD = re.compile(r"[A-Za-z0-9_.-]{1,64}\Z")
"""Matches ids and words of enums, but no address, URL or sentence."""
_LIMITS = SpanLimits(
    max_attributes=16, max_events=0, max_links=MAX_LINKS, max_span_attributes=16, max_event_attributes=0,
    max_link_attributes=0, max_attribute_length=64, max_span_attribute_length=64,
)  # fmt: skip


class Traces:
    """Makes one process's spans; `processor` gets each span when it has ended."""

    def __init__(self, service: str, ratio: float, processor: SpanProcessor) -> None:
        # Not Resource.create: it adds what the environment and detectors report, such as hosts and command lines.
        attributes = {
            "service.namespace": "moretta",
            "service.name": f"moretta-{service}",
            "service.version": version("moretta"),
        }
        resource = Resource({**attributes, "service.instance.id": secrets.token_hex(8)})
        provider = TracerProvider(ALWAYS_ON, resource, shutdown_on_exit=False, span_limits=_LIMITS)
        provider.add_span_processor(processor)
        self._tracer, self._ratio = provider.get_tracer("moretta"), ratio

    def begin(
        self,
        name: Name,
        parent: str,
        links: Iterable[str],
        *,
        often: bool,
        start: int | None,
        attributes: dict[str, str | None],
    ) -> Span:
        """Return a span; see `services.kernel.tracing.begin`."""
        known = _context(parent)
        if known is None and often and random.random() >= self._ratio:  # noqa: S311 - which of them is no secret
            return OFF
        found = [Link(one) for one in map(_context, links) if one is not None]
        return _Recorded(self._tracer, name, known, found[-MAX_LINKS:], start, attributes)

    def follow(self, name: Name, parent: str, *, start: int | None, attributes: dict[str, str | None]) -> Span:
        """Return a span; see `services.kernel.tracing.follow`."""
        known = _context(parent)
        return OFF if known is None else _Recorded(self._tracer, name, known, (), start, attributes)


class _Recorded(Span):
    """A span that is recorded."""

    __slots__ = ("_span", "_token", "_tracer", "trace_id", "traceparent")

    def __init__(
        self,
        tracer: Tracer,
        name: Name,
        parent: SpanContext | None,
        links: Sequence[Link],
        start: int | None,
        attributes: dict[str, str | None],
    ) -> None:
        self._tracer = tracer
        self._span = _start(tracer, name, parent, links, start)
        self._token: Token[Span] | None = None
        self.set_attributes(**attributes)
        context = self._span.get_span_context()
        self.trace_id = format_trace_id(context.trace_id)
        self.traceparent = f"00-{self.trace_id}-{format_span_id(context.span_id)}-01"

    def __bool__(self) -> bool:
        return True

    def __enter__(self) -> Self:
        self._token = enter(self)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._token is not None:
            leave(self._token)
            self._token = None
        if error is not None:  # record that it failed, and nothing of the exception's text
            self._span.set_status(Status(StatusCode.ERROR))
        self._span.end()

    def set_attributes(self, **attributes: str | None) -> None:
        for name, value in attributes.items():
            if name not in ATTRIBUTES:
                raise ValueError(f"a span says nothing of {name}")
            if value is not None:
                self._span.set_attribute(f"moretta.{name}", value if _WORD.match(value) else "?")

    def child(self, name: Name, **attributes: str | None) -> Span:
        return _Recorded(self._tracer, name, self._span.get_span_context(), (), None, attributes)

    def stage(self, name: Name, start: int, end: int) -> None:
        _start(self._tracer, name, self._span.get_span_context(), (), start).end(_utc(end))


def _start(
    tracer: Tracer, name: Name, parent: SpanContext | None, links: Sequence[Link], start: int | None
) -> OtelSpan:
    within = set_span_in_context(NonRecordingSpan(parent), Context()) if parent is not None else Context()
    kind = SpanKind[SPANS[name][0].upper()]
    at = None if start is None else _utc(start)
    return tracer.start_span(name, within, kind, links=links, start_time=at, record_exception=False)


def _utc(at: int) -> int:
    return time.time_ns() - (boottime_ns() - at)


def _context(traceparent: str) -> SpanContext | None:
    """Return the span that a header names; None if it names no span, or one that is not traced."""
    match = _TRACEPARENT.match(traceparent)
    if match is None or not int(match[3], 16) & TraceFlags.SAMPLED:
        return None
    context = SpanContext(int(match[1], 16), int(match[2], 16), is_remote=True, trace_flags=TraceFlags(1))
    return context if context.is_valid else None
