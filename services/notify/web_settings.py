"""Addresses of servers that we call by HTTP, as settings hold them: secrets, since tokens are often a part of them."""

from collections.abc import Iterator
from urllib.parse import SplitResult, urlsplit

from services.destinations.addresses import refusal
from services.kernel.settings import Secret
from services.sites.problems import Problem

_LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})


def url_problems(path: str, url: Secret, *, allow_http: bool) -> Iterator[Problem]:
    """Yield what is wrong with a URL, without quoting it."""
    text = url.reveal()
    parts = _parts(text)
    if parts is None or not text.isascii() or any(sign.isspace() for sign in text) or "$" in parts.netloc:
        yield path, "is no URL such as https://sms.example.org/send"
    elif "@" in parts.netloc:
        yield path, "holds a user or a password before its host; they have fields of their own"
    elif why := refusal(parts.hostname or ""):
        yield path, f"leads nowhere that is called: {why}"
    elif parts.scheme == "http" and not allow_http and parts.hostname not in _LOOPBACK:
        yield (
            path,
            "is not https: all on the way would read what is sent; allow_http: true allows it on a network of yours",
        )


def _parts(text: str) -> SplitResult | None:
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError:
        return None
    return parts if parts.scheme in {"http", "https"} and parts.hostname and port != 0 else None
