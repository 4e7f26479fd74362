"""Traces: what became of one picture, one window, one alert on its way through the services (ADR 30).

Off, which is how it comes, all of this is a null object, and no tracing library is imported. On, a stage is a span with
ids, outcomes and times, and never says anything of people: what may be said is one list (`ATTRIBUTES`).
"""

from services.kernel.tracing.span import MOST_LINKS, OFF, TRACEPARENT, Span, begin, current, follow, headers

__all__ = ["MOST_LINKS", "OFF", "TRACEPARENT", "Span", "begin", "current", "follow", "headers"]
