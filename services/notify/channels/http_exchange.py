"""An HTTP request of a channel, and what its answer comes to. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from services.notify.outcome import Failure


@dataclass(frozen=True)
class HttpRequest:
    """An HTTP request. It holds numbers and secrets, so its repr shows none of them."""

    method: str
    url: str = field(repr=False)
    headers: Mapping[str, str] = field(repr=False)
    body: bytes | None = field(repr=False, default=None)


@dataclass(frozen=True)
class HttpAnswer:
    """An HTTP answer, with the beginning of its body."""

    status: int
    retry_after_s: float | None = None
    body: bytes = field(default=b"", repr=False)
    cut: Failure | None = None
    """The reason if the body broke off, or did not end in time."""
