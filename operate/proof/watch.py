"""Searches what comes in while the box runs: messages, log lines, mails, requests to the SMS gateway."""

from collections.abc import Callable
from typing import Any

from operate.box.child import TOO_LONG
from operate.proof.search import Search
from operate.simulation.demo.sink import Mail
from proto.codec import decode
from proto.subjects import ALERTS, CAMERAS, FRAMES

PLANTER = "planter@market.example"
"""Who sends the planted mail, and is told of in the planted SMS."""


class Watch:
    """Takes in whatever comes. `public` is told each message about cameras and alerts, typed."""

    def __init__(self, search: Search) -> None:
        self._search = search
        self.public: Callable[[Any], None] = lambda _message: None
        self.mails = self.sms = self.frames = 0
        """How many came that were not planted."""

    def mail(self, mail: Mail) -> None:
        """Search a mail, as it came and with each of its parts decoded."""
        data = mail.file.read_bytes()
        self.mails += PLANTER.encode() not in data
        where = f"{mail.file.name}: {mail.message['Subject']}"
        self._search.text("mails", where, data)
        for part in mail.message.walk():
            if isinstance(content := part.get_payload(decode=True), bytes):
                self._search.part("mails", where, content)

    def request(self, request: bytes) -> None:
        """Search what the SMS gateway was asked."""
        self.sms += PLANTER.encode() not in request
        self._search.text("sms", "an SMS", request)

    def line(self, name: str, line: str) -> None:
        """Search what a program said."""
        if line.endswith(TOO_LONG):
            self._search["logs"].miss(line)
        self._search.text("logs", name, line.encode(errors="surrogateescape"))

    def message(self, user: str, subject: str, headers: bytes, data: bytes) -> None:
        """Search what a user heard on the bus."""
        where = f"{user} heard {subject}"
        if user == "subscriber" and (row := next((r for r in (CAMERAS, ALERTS) if r.parse(subject)), None)):
            self.public(decode(row, data))
        if FRAMES.parse(subject) is not None:  # sealed: noise is what it has to be
            self.frames += 1
            self._search.raw("bus", where, headers + data)
        else:
            self._search.text("bus", where, headers + data)
