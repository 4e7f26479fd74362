"""A provider of SMS with an interface of its own over HTTP, as settings describe it: what it gets, and when it took it.

Templates are Python's `$name` (string.Template): they can name values and do nothing else. Values are put into the
leaves of a JSON document or a form, each escaped as its place demands, so that no text can leave its field.
"""

import base64
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from string import Template
from typing import Any
from urllib.parse import quote, urlencode

import msgspec

from services.notify.core.http_outcome import failure_of_status
from services.notify.core.outcome import Failure
from services.notify.core.sms_gateway import Answer, Request, Sms

SECRETS = frozenset({"user", "password", "token", "basic"})
NAMES = SECRETS | {"to", "number", "text", "from", "key", "segments", "encoding", "report_url"}
"""What a template may name. `number` is `to` without its plus, `basic` is user:password in Base64 (RFC 7617)."""


def names_in(tree: Any) -> set[str]:
    """Return what the templates of a text, or of a document's leaves, name; ValueError for a `$` that names nothing."""
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
    """When an answer says that the SMS was taken; the status alone unless `pointer` or `matches` is set."""

    status: frozenset[int] = frozenset(range(200, 300))
    pointer: str | None = None
    """Where in a JSON body the telling value is (RFC 6901); None: the whole body as text."""
    matches: str | None = None
    """A regular expression that the value as text matches as a whole; None: it is there, and neither null nor false."""

    def met(self, body: bytes) -> bool:
        """Return whether this body says so."""
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
    """How one provider is asked. One of `json` and `form` is the body's template; with neither there is none."""

    url: str = field(repr=False)
    method: str = "POST"
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    json: Any = field(default=None, repr=False)
    form: Mapping[str, str] | None = field(default=None, repr=False)
    key_header: str = "Idempotency-Key"
    """Where the key stands that makes a repeated SMS the same one to a provider that knows it; empty: nowhere."""
    sender: str = ""
    user: str = field(default="", repr=False)
    password: str = field(default="", repr=False)
    token: str = field(default="", repr=False)
    success: Success = Success()

    def request(self, sms: Sms) -> Request:
        """Return the request with this SMS in its templates' places."""
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
        return Request(self.method, _filled(self.url, values, lambda value: quote(value, safe="")), headers, body)

    def failure(self, answer: Answer) -> Failure | None:
        """Return None if it took the SMS, else why not.

        An answer whose status is right and whose body is not is tried again: the provider may be out of order, and
        nothing is lost to a rule that doesn't fit.
        """
        if answer.status in self.success.status:
            return None if self.success.met(answer.body) else Failure("unavailable", "data", answer.status)
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
