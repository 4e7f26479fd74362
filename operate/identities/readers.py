"""Who reads, each in an account of its own: what MAIN, or a hub, gives to it, and what it may take of the server. Pure.

An answer goes to whatever subject of the asker's account a question names: in these accounts there is none but the
asker's own (ADR 20). What is limited here is what one reader could otherwise fill the server's memory with (ADR 35).
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from proto.permissions import APART, APART_API, JETSTREAM_API, NAMED, READER, Rights, inbox, named_account, user_of
from proto.subjects import STATS, Identity

Bridge = dict[str, Any]
"""An entry of an account's exports or imports."""
DOORS = {"allowed_connection_types": ["STANDARD", "WEBSOCKET"]}
"""How who reads may come: by no leaf's connection, which would bring another server's subscriptions."""
_KIB = 1 << 10
_READER = {"max_connections": 20, "max_subscriptions": 100, "max_payload": 64 * _KIB}
"""Of a reader's account: connections in all (of a cluster, too), subscriptions of each, bytes of a question. The
product is how often one answer is written if all of them listen to one inbox: by who answers it (ADR 35)."""
_PAGE = {"max_connections": 200, "max_subscriptions": 6, "max_payload": 16 * _KIB}
"""Many people may look, with five subscriptions each."""
_ANSWERED = "5s"
"""So long NATS remembers where an answer goes: each question is 0.9 KB of the server's memory until then."""


@dataclass(frozen=True)
class Apart:
    """A user in an account of its own, with the rights of an identity."""

    user: str
    identity: Identity
    account: str

    @property
    def limits(self) -> dict[str, int]:
        """The account's block `limits`."""
        return dict(_READER if self.identity == READER else _PAGE)


def apart(users: Iterable[str]) -> list[Apart]:
    """Return who of these users has an account of its own: identities of the table, and readers with a name."""
    given = list(users)
    own = [Apart(user_of(one, "MAIN"), one, account) for one, account in APART.items()]
    return [one for one in own if one.user in given] + [
        Apart(user, READER, named_account(user)) for user in given if user.startswith(NAMED)
    ]


def named(users: Iterable[str]) -> list[str]:
    """Return the names of the readers among these users that have one."""
    return [user.removeprefix(NAMED) for user in users if user.startswith(NAMED)]


def exports(readers: Mapping[str, Rights]) -> list[Bridge]:
    """Return what an account lets these accounts, and nobody else, ask and hear. To some questions several answer."""
    asked: dict[str, list[str]] = {}
    heard: dict[str, list[str]] = {}
    for account, rights in readers.items():
        for subject in rights.publish:
            asked.setdefault(_inside(subject), []).append(account)
        for subject in _heard(rights):
            heard.setdefault(subject, []).append(account)
    kind = {"response_type": "Stream", "threshold": _ANSWERED}
    services = [{"service": one, **kind, "accounts": to} for one, to in asked.items()]
    return [*services, *({"stream": subject, "accounts": to} for subject, to in heard.items())]


def imports(rights: Rights, giver: str) -> list[Bridge]:
    """Return a reader's side of it. With statistics whoever answers is told who asks: `Nats-Request-Info`."""
    asked: list[Bridge] = []
    for subject in rights.publish:
        told = {"share": True} if subject == STATS.wildcard() else {}
        asked.append({"service": {"account": giver, "subject": _inside(subject)}, "to": subject, **told})
    return asked + [{"stream": {"account": giver, "subject": subject}} for subject in _heard(rights)]


def _heard(rights: Rights) -> list[str]:
    return [subject for subject in rights.subscribe if subject != inbox(READER)]


def _inside(subject: str) -> str:
    """Return the giver's own name for what a reader asks for."""
    return subject.replace(APART_API, JETSTREAM_API)
