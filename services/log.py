"""Logging: JSON lines, or readable ones on a terminal; secrets and passwords in URLs never come out."""

import logging
import re
import sys
from collections.abc import MutableMapping
from typing import Any, Literal

import structlog
from msgspec import Struct

_USERINFO = re.compile(r"(?P<scheme>\b[a-z][a-z0-9+.-]*://)[^/@\s\"']*@", re.IGNORECASE)
_QUERY_SECRET = re.compile(r"(?P<key>[?&](?:password|passwd|pwd|token|key|secret|auth)=)[^&\s\"']+", re.IGNORECASE)
_SECRET_KEY = re.compile(r"password|secret|token|seed", re.IGNORECASE)
MASK = "***"


class LogSettings(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The section `log` of the settings file."""

    level: Literal["debug", "info", "warning", "error"] = "info"
    format: Literal["auto", "json", "console"] = "auto"
    """auto: readable on a terminal, JSON elsewhere."""


def redact(text: str) -> str:
    """Return the text without user names and passwords in URLs, and without secrets in their queries."""
    return _QUERY_SECRET.sub(rf"\g<key>{MASK}", _USERINFO.sub(rf"\g<scheme>{MASK}@", text))


def redact_value(value: Any) -> Any:
    """Return the value with every text in it redacted, whatever it is nested in."""
    if isinstance(value, str):
        return redact(value)
    if isinstance(value, MutableMapping):
        return {k: MASK if _SECRET_KEY.search(str(k)) else redact_value(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [redact_value(v) for v in value]
    return value if isinstance(value, (int, float, bool, type(None))) else redact(str(value))


def _redactor(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    exc_info = event.get("exc_info")
    clean = redact_value({k: v for k, v in event.items() if k not in {"exc_info", "_record", "_from_structlog"}})
    event.update(clean)
    event["exc_info"] = exc_info
    if exc_info is None:
        del event["exc_info"]
    return event


def configure(service: str, settings: LogSettings | None = None) -> None:
    """Set up structlog and the standard library's logging, both through one chain, to standard error."""
    settings = settings or LogSettings()
    console = settings.format == "console" or (settings.format == "auto" and sys.stderr.isatty())
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    # Tracebacks become text first, so that what a third-party exception says is redacted too.
    chain = [*shared, structlog.processors.format_exc_info, _redactor]
    last: list[Any] = [structlog.dev.ConsoleRenderer() if console else structlog.processors.JSONRenderer()]
    formatter = structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=shared,
        processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *chain[len(shared) :], *last],
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(formatter)
    logging.basicConfig(handlers=[handler], level=logging.WARNING, force=True)
    structlog.configure(
        processors=[*chain, *last],
        wrapper_class=structlog.make_filtering_bound_logger(settings.level),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=False,
    )
    structlog.contextvars.bind_contextvars(service=service)


def get_logger() -> Any:
    """Return a logger; `log.info("what happened", key=value)`."""
    return structlog.get_logger()
