"""Logging as JSON lines, or as readable lines on a terminal. Secrets, and passwords in URLs, are never logged.

A line that cannot be written, as when the log's reader has ended or its disk is full, is counted and dropped. Logging
raises no error, so that a service works, and above all ends, without its log. Where only a part of a line cannot be
made, such as a value without a text, the event is written alone, with the error's type as `log_error`.
"""

import logging
import math
import re
import sys
from collections.abc import Callable, Mapping, MutableMapping
from typing import Any, Literal

import structlog
from msgspec import Struct
from prometheus_client import Counter

# Up to the last @ of the word: a password may hold @, / and quotes. Masking too much is safer than too little.
_USERINFO = re.compile(r"(?P<scheme>\b[a-z][a-z0-9+.-]*:/{1,2})(?:(?!://)\S)*@", re.IGNORECASE)
_SENSITIVE = (
    r"(?:passw|pwd|secret|token|seed|salt|credential|auth(?:orization)?\b"
    r"|(?:api|access|private|signing|verify|frame)[_-]?key)"
)
_QUERY_SECRET = re.compile(
    rf"(?P<key>(?:[?&;#]|\b)(?:[\w.-]{{0,40}}{_SENSITIVE}[\w.-]{{0,40}}|(?<=[?&;#])key)=)[^&\s\"']+", re.IGNORECASE
)
# Mask the rest of the line: a Digest header has spaces, and a quoted value may end anywhere.
_HEADER_SECRET = re.compile(r"(?P<key>\bauthorization[\"']?\s*:\s*)[^\r\n]+|(?P<scheme>\bbearer\s+)\S+", re.IGNORECASE)
_SECRET_KEY = re.compile(_SENSITIVE, re.IGNORECASE)
MASK = "***"
LOST = Counter("moretta_log_lines_lost_total", "Log lines that could not be written, and were dropped")
_NOTES: dict[str, Callable[[], str]] = {}


class LogSettings(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The section `log` of the settings file."""

    level: Literal["debug", "info", "warning", "error"] = "info"
    format: Literal["auto", "json", "console"] = "auto"
    """auto: readable on a terminal, JSON elsewhere."""


def redact(text: str) -> str:
    """Return the text without user names and passwords in URLs, secrets in their queries, and Authorization headers."""
    text = _HEADER_SECRET.sub(lambda found: f"{found['key'] or found['scheme']}{MASK}", text)
    return _QUERY_SECRET.sub(rf"\g<key>{MASK}", _USERINFO.sub(rf"\g<scheme>{MASK}@", text))


def redact_value(value: Any) -> Any:
    """Return the value in types that JSON can hold, with every text in it redacted, at any depth."""
    if isinstance(value, Mapping):
        return {redact(str(k)): MASK if _SECRET_KEY.search(str(k)) else redact_value(v) for k, v in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [redact_value(v) for v in value]
    if isinstance(value, (bool, int, type(None))) or (isinstance(value, float) and math.isfinite(value)):
        return value
    return redact(str(value))


def _redactor(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    exc_info = event.get("exc_info")
    clean = redact_value({k: v for k, v in event.items() if k not in {"exc_info", "_record", "_from_structlog"}})
    event.update(clean)
    event["exc_info"] = exc_info
    if exc_info is None:
        del event["exc_info"]
    return event


def note(key: str, what: Callable[[], str] | None) -> None:
    """Add `what()` under this key to every log line, unless it is empty; None removes the key."""
    if what is None:
        _NOTES.pop(key, None)
    else:
        _NOTES[key] = what


def _noted(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    event.update({key: text for key, what in _NOTES.items() if (text := what())})
    return event


_Bare = Callable[[str, Any, Exception], Any]


def _bare(last: list[Any]) -> _Bare:
    """Return what makes the line of an event alone, from its level, itself, and why there is no more; may raise."""
    add_level, stamp = structlog.processors.add_log_level, structlog.processors.TimeStamper(fmt="iso", utc=True)
    chain = [structlog.contextvars.merge_contextvars, add_level, stamp, _redactor, *last]

    def line(level: str, event: Any, error: Exception) -> Any:
        made: Any = {"event": event, "log_error": type(error).__name__}
        for step in chain:
            made = step(None, level, made)
        return made

    return line


def _bound_logger(level: str, bare: _Bare) -> type:
    """Return structlog's logger of this level, with no error from any of its calls."""

    class Logger(structlog.make_filtering_bound_logger(level)):  # type: ignore[misc]
        def _process_event(self, method: str, event: Any, keys: dict[str, Any]) -> Any:
            try:
                return super()._process_event(method, event, keys)
            except Exception as error:
                return (bare(method, event, error),), {}

        def _proxy_to_logger(self, *event: Any, **keys: Any) -> Any:
            try:
                return super()._proxy_to_logger(*event, **keys)
            except Exception:
                LOST.inc()

    return Logger


class _Handler(logging.StreamHandler[Any]):
    """Takes the standard library's records, with no error, and no report of one beside the log."""

    def __init__(self, stream: Any, bare: _Bare) -> None:
        super().__init__(stream)
        self._bare = bare

    def format(self, record: logging.LogRecord) -> str:
        try:
            return super().format(record)
        except Exception as error:
            return str(self._bare(record.levelname.lower(), record.msg, error))

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: ARG002, N802 - the name is logging's
        LOST.inc()


def configure(service: str, settings: LogSettings | None = None) -> None:
    """Set up structlog and the standard library's logging, both through one chain, to standard error."""
    settings = settings or LogSettings()
    console = settings.format == "console" or (settings.format == "auto" and sys.stderr.isatty())
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        _noted,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    # Tracebacks become text first, so that the text of a third-party exception is redacted too.
    chain = [*shared, structlog.processors.format_exc_info, _redactor]
    # The traceback is text already. rich would render it from the exception itself, unredacted.
    plain = structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback)
    last: list[Any] = [plain if console else structlog.processors.JSONRenderer()]
    formatter = structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=shared,
        processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *chain[len(shared) :], *last],
    )
    bare = _bare(last)
    handler = _Handler(sys.stderr, bare)
    handler.setFormatter(formatter)
    logging.basicConfig(handlers=[handler], level=logging.WARNING, force=True)
    # matplotlib warns when it builds its list of fonts; the user can do nothing about it.
    logging.getLogger("matplotlib.font_manager").setLevel(logging.ERROR)
    structlog.configure(
        processors=[*chain, *last],
        wrapper_class=_bound_logger(settings.level, bare),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=False,
    )
    structlog.contextvars.bind_contextvars(service=service)


def get_logger() -> Any:
    """Return a logger, used as `log.info("what happened", key=value)`."""
    return structlog.get_logger()
