"""HTTP requests to SMS gateways, and the meaning of the answers. Each kind of gateway defines both. Pure.

Kannel has its interface `sendsms` (its user guide, "Using the HTTP interface to send SMS messages"), as of 1.4.5.
Settings describe a provider with an interface of its own. Their templates are Python's `$name` (string.Template): they
can name values and do nothing else. Values are put into the leaves of a JSON document or a form. Each is escaped as its
place demands, so that no text can leave its field.
"""

import base64
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from string import Template
from typing import Any, Protocol
from urllib.parse import quote, urlencode

import msgspec

from services.notify.channels.http_exchange import HttpAnswer, HttpRequest
from services.notify.channels.sms.delivery_reports import KANNEL_MASK
from services.notify.channels.sms.shortening import Encoding
from services.notify.outcome import Failure, failure_of_status


@dataclass(frozen=True)
class Sms:
    """One text to one number; neither shows in a repr."""

    number: str = field(repr=False)
    """E.164, such as `+33612345678`."""
    text: str = field(repr=False)
    encoding: Encoding
    segments: int
    key: str
    """Idempotency key: the same for a repeated SMS, so that a gateway that supports it sends the SMS once."""
    report_url: str = field(default="", repr=False)
    """URL for its delivery report; empty: no report is requested."""


class Gateway(Protocol):
    """One kind of SMS gateway."""

    def request(self, sms: Sms) -> HttpRequest:
        """Return the request that asks it to send this SMS."""

    def failure(self, answer: HttpAnswer) -> Failure | None:
        """Return None if it accepted the SMS, else the failure."""


_CODINGS = {"gsm-7": "0", "ucs-2": "2"}
_NUMBER = (b"number", b"receiver")


@dataclass(frozen=True)
class Kannel:
    """The requests to one Kannel, and the meaning of its answers."""

    url: str = field(repr=False)
    user: str
    password: str = field(repr=False)
    sender: str = ""
    smsc: str = ""

    def request(self, sms: Sms) -> HttpRequest:
        """Return the request. Parameters are in headers, so that no URL log of a proxy or server holds a number."""
        fields = {
            "Username": self.user, "Password": self.password, "To": sms.number, "From": self.sender, "SMSC": self.smsc,
            "Coding": _CODINGS[sms.encoding],
        }  # fmt: skip
        if sms.report_url:
            fields |= {"DLR-Mask": str(KANNEL_MASK), "DLR-Url": f"{sms.report_url}?status=%d"}
        headers = {f"X-Kannel-{name}": value for name, value in fields.items() if value}
        return HttpRequest(
            "POST", self.url, {"Content-Type": "text/plain; charset=UTF-8", **headers}, sms.text.encode()
        )

    def failure(self, answer: HttpAnswer) -> Failure | None:
        """Return None for 202, else the failure. 400 is about the number, or about a field from the settings."""
        if answer.status in {400, 404}:
            about_number = any(word in answer.body.lower() for word in _NUMBER)
            return Failure("recipient" if about_number else "misconfigured", "recipient", answer.status)
        return failure_of_status(answer.status, answer.retry_after_s)


SECRETS = frozenset({"user", "password", "token", "basic"})
NAMES = SECRETS | {"to", "number", "text", "from", "key", "segments", "encoding", "report_url"}
"""Names that a template may use. `number` is `to` without its plus, `basic` is user:password in Base64 (RFC 7617)."""


def names_in(tree: Any) -> set[str]:
    """Return the names in the templates of a text or of a document's leaves; ValueError for a `$` without a name."""
    match tree:
        case str():
            if not Template(tree).is_valid():
                raise ValueError("has a $ with no name behind it; a dollar sign itself is $$")
            return set(Template(tree).get_identifiers())
        case dict():
            return set().union(*(names_in(value) for value in tree.values()))
        case list():
            return set().union(*(names_in(value) for value in tree))
    return set()


@dataclass(frozen=True)
class Success:
    """The condition for an accepted SMS: the status alone unless `pointer` or `matches` is set."""

    status: frozenset[int] = frozenset(range(200, 300))
    pointer: str | None = None
    """JSON pointer (RFC 6901) to the value to check; None: the whole body as text."""
    matches: str | None = None
    """A regular expression for the whole value as text; None: the value exists, and is neither null nor false."""

    def met(self, body: bytes) -> bool:
        """Return whether this body meets the condition."""
        if self.pointer is None and self.matches is None:
            return True
        try:
            value = body.decode() if self.pointer is None else pointed(msgspec.json.decode(body), self.pointer)
        except (LookupError, ValueError, msgspec.DecodeError):
            return False
        if self.matches is None:
            return value is not None and value is not False
        return re.fullmatch(self.matches, _text(value).strip(), re.DOTALL) is not None


def pointed(document: Any, pointer: str) -> Any:
    """Return what a JSON pointer points at (RFC 6901 §4); LookupError or ValueError where there is nothing."""
    for step in pointer.split("/")[1:]:
        name = step.replace("~1", "/").replace("~0", "~")
        if isinstance(document, list):
            document = document[int(name)]
        elif isinstance(document, dict):
            document = document[name]
        else:
            raise LookupError(name)  # noqa: TRY004 - no type error: there is nothing there
    return document


def _text(value: Any) -> str:
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()


@dataclass(frozen=True)
class Provider:
    """The requests to one provider. `json` or `form` is the template of the body; with neither there is no body."""

    url: str = field(repr=False)
    method: str = "POST"
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    json: Any = field(default=None, repr=False)
    form: Mapping[str, str] | None = field(default=None, repr=False)
    key_header: str = "Idempotency-Key"
    """Header for the idempotency key, by which a provider that supports it knows a repeated SMS; empty: no header."""
    sender: str = ""
    user: str = field(default="", repr=False)
    password: str = field(default="", repr=False)
    token: str = field(default="", repr=False)
    success: Success = Success()

    def request(self, sms: Sms) -> HttpRequest:
        """Return the request with this SMS filled into its templates."""
        values = self._values(sms)
        headers = {name: _filled(text, values) for name, text in self.headers.items()}
        if self.key_header:
            headers[self.key_header] = sms.key
        body: bytes | None = None
        if self.json is not None:
            body = msgspec.json.encode(_filled(self.json, values))
            headers = {"Content-Type": "application/json", **headers}
        elif self.form is not None:
            body = urlencode(_filled(self.form, values)).encode()
            headers = {"Content-Type": "application/x-www-form-urlencoded", **headers}
        return HttpRequest(self.method, _filled(self.url, values, lambda value: quote(value, safe="")), headers, body)

    def failure(self, answer: HttpAnswer) -> Failure | None:
        """Return None if it accepted the SMS, else the failure.

        An answer with the right status and a wrong body is retried. The provider may be out of order, and a rule that
        does not fit must lose nothing.
        """
        if answer.status in self.success.status:
            if self.success.met(answer.body):
                return None
            return answer.cut or Failure("unavailable", "data", answer.status)
        refused = failure_of_status(answer.status, answer.retry_after_s)
        return refused or Failure("unavailable", "data", answer.status)

    def _values(self, sms: Sms) -> dict[str, str]:
        return {
            "to": sms.number, "number": sms.number.removeprefix("+"), "text": sms.text, "from": self.sender,
            "key": sms.key, "segments": str(sms.segments), "encoding": sms.encoding, "report_url": sms.report_url,
            "user": self.user, "password": self.password, "token": self.token,
            "basic": base64.b64encode(f"{self.user}:{self.password}".encode()).decode(),
        }  # fmt: skip


def _filled(tree: Any, values: Mapping[str, str], escape: Callable[[str], str] = str) -> Any:
    match tree:
        case str():
            return Template(tree).substitute({name: escape(value) for name, value in values.items()})
        case dict():
            return {name: _filled(value, values, escape) for name, value in tree.items()}
        case list():
            return [_filled(value, values, escape) for value in tree]
    return tree
