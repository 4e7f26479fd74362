"""Traces: what happened to one picture, one window or one alert on its way through the services (ADR 30).

Tracing is off by default. Then every span is a null object, and no tracing library is imported. With tracing on, each
stage is a span with ids, outcomes and times. A span never says anything about people: one list (`ATTRIBUTES`) names
all that it may say.
"""

from services.kernel.tracing.span import MAX_LINKS, OFF, TRACEPARENT, Span, begin, current, follow, headers

__all__ = ["MAX_LINKS", "OFF", "TRACEPARENT", "Span", "begin", "current", "follow", "headers"]
