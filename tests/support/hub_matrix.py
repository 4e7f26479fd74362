"""Every user of a hub against every subject and all of JetStream's API, on a real server.

What each may is written here by hand from ADR 25 and ADR 45, not taken from what makes the configuration.
"""

import asyncio
import itertools
from dataclasses import dataclass

from identity_matrix import MIRRORS, Case, concrete, denied_of
from leaf_sites import HubPlace, Thief
from nats_match import takes
from patience import until

from proto.subjects import STREAMS, TABLE
from services.bus.nkey import Seed

CROSSING = ("WINDOWS", "ALERTS", "CAMERAS", "DELIVERIES")
SITES = ("cannes", "nice")
READERS = ("subscriber", "subscriber-acme")
ACCOUNTS = {"MORETTA_SUBSCRIBERS": CROSSING, "MORETTA_SUBSCRIBERS_acme": ("WINDOWS", "ALERTS")}
"""Readers' accounts with their streams, beside the bucket of states."""
_ELSEWHERE = (
    *("$JS.cannes.API", "_MAIN", "_ORIGIN", "_ASK.cannes", "_ASK.nice", "_SITE.cannes", "_SITE.nice"),
    *(f"_READER.{account}" for account in (*ACCOUNTS, "MORETTA_SUBSCRIBERS_other")),
)
"""What JetStream's API of other accounts is called."""
_CALLS = (
    *(f"STREAM.{verb}.%s" for verb in ("CREATE", "UPDATE", "INFO", "DELETE", "PURGE", "SNAPSHOT", "RESTORE")),
    *(f"STREAM.{verb}.%s" for verb in ("MSG.GET", "MSG.DELETE", "LEADER.STEPDOWN", "PEER.REMOVE")),
    *("DIRECT.GET.%s", "DIRECT.GET.%s.x", "CONSUMER.CREATE.%s", "CONSUMER.CREATE.%s.c", "CONSUMER.CREATE.%s.c.x"),
    *("CONSUMER.DURABLE.CREATE.%s.c", "CONSUMER.MSG.NEXT.%s.c", "CONSUMER.DELETE.%s.c", "CONSUMER.INFO.%s.c"),
    *("CONSUMER.NAMES.%s", "CONSUMER.LIST.%s"),
)
_SOME = (
    "STREAM.NAMES",
    *(f"STREAM.{verb}.%s" for verb in ("CREATE", "DELETE", "INFO")),
    "CONSUMER.CREATE.%s",
    "DIRECT.GET.%s",
)
_WHOLE = ("INFO", "STREAM.NAMES", "STREAM.LIST", "ACCOUNT.PURGE.MORETTA_HUB", "META.LEADER.STEPDOWN", "SERVER.REMOVE")
_NAMES = tuple(
    {*MIRRORS, *(one.name for one in STREAMS), *(f"{way}{name}" for way in ("COPY_", "INTAKE_") for name in CROSSING)}
)
_GIVEN = [(f"{way}.{site}", prefix) for way, prefix in (("_ASK", "COPY_"), ("_SITE", "INTAKE_")) for site in SITES]
_TAKEN = list(itertools.product(CROSSING, SITES))
_MADE = ("CREATE", "UPDATE", "INFO")
_ASIDE = (
    *("_LEAF.cannes.x", "_LEAF.nice.x", "_INTAKE.cannes.x", "_INTAKE.nice.x", "_COPY.x", "_R_.x", "$JSC.R.x", "$NRG.x"),
    *(f"_MIRROR.{account}.x" for account in ACCOUNTS),
    *("_INBOX.x", "my.x", "moretta", "moretta.v2.windows.x.x", "moretta.v1.other", "$O.x.C.y"),
    *("$SYS.REQ.USER.INFO", "$SYS.REQ.SERVER.PING", "$SYS.REQ.ACCOUNT.MORETTA_HUB.CONNZ", "$SRV.PING", "$SRV.INFO.x"),
    *(f"_INBOX_{user}.x" for user in ("streams", "streams-cannes", "streams-nice", "leaf", *READERS, "operator")),
)
_WIDE = (
    *(">", "*.>", "moretta.>", "moretta.v1.>", "my.>", "_INBOX.>", "$JS.>", "$JS.API.>", "$JS.EVENT.>", "$JS.ACK.>"),
    *("$KV.>", "$SYS.>", "$SRV.>", "_ORIGIN.>", "_MIRROR.>", "_READER.>", "_SITE.>", "_ASK.>", "_LEAF.>", "_INTAKE.>"),
    *(f"_INBOX_{user}.>" for user in ("streams", "streams-cannes", "streams-nice", "leaf", *READERS, "operator")),
)
_NATIVE = (
    *("$JS.API.INFO", "$JS.API.STREAM.NAMES", "$JS.API.STREAM.LIST", "$JS.API.STREAM.INFO.*"),
    *("$JS.API.STREAM.MSG.GET.*", "$JS.API.DIRECT.GET.>", "$JS.API.CONSUMER.>", "$JS.ACK.>", "$JS.FC.>"),
)


def published() -> set[str]:
    """Return whatever anybody might send."""
    calls = {("$JS.API", call) for call in (*_WHOLE, *_CALLS)} | set(itertools.product(_ELSEWHERE, _SOME))
    asked = {f"{api}.{call.replace('%s', name)}" for (api, call), name in itertools.product(calls, _NAMES)}
    crossing = {f"{api}.CONSUMER.CREATE.{way}{name}.c.{of(name, site)}" for api, way in _GIVEN for name, site in _TAKEN}
    flow = {f"$JS.{way}.{name}.c.1" for way in ("FC", "ACK", "SNAPSHOT.ACK") for name in _NAMES}
    return {*(concrete(row) for row in TABLE), *asked, *crossing, *flow, *_ASIDE}


def of(stream: str, site: str, token: str = "x") -> str:
    """Return what of a stream is a site's, with this token for what is not said."""
    return f"moretta.v1.{stream.lower()}.{site}." + (f"{token}.{token}" if stream == "ALERTS" else token)


def heard() -> set[str]:
    """Return whatever anybody might subscribe."""
    return {*(row.wildcard() for row in TABLE), *_WIDE}


@dataclass(frozen=True)
class User:
    """A user of a hub with a connection of its own, and what it may, as NATS patterns."""

    name: str
    publish: tuple[str, ...]
    subscribe: tuple[str, ...]

    def case(self) -> Case:
        """What it is to be tried with."""
        one = Case("subscriber", "MORETTA", name=self.name)
        for wanted in sorted(published()):
            one.probe("publish", wanted, any(takes(pattern, wanted) for pattern in self.publish))
        for wanted in sorted(heard()):
            one.probe("subscription", wanted, any(takes(pattern, wanted) for pattern in self.subscribe))
        return one


def users() -> list[User]:
    """All that come as clients: who makes streams of the hub and of each leaf, and readers."""

    def made(prefix: str) -> tuple[str, ...]:
        return tuple(f"$JS.API.STREAM.{verb}.{prefix}{name}" for verb in _MADE for name in CROSSING)

    asked = dict.fromkeys(ACCOUNTS, ("NAMES", "DELETE.*", "*.KV_moretta_latest"))
    mirrors = [f"_READER.{account}.STREAM.{one}" for account, common in asked.items() for one in common]
    mirrors += [f"_READER.{account}.STREAM.*.{name}" for account, names in ACCOUNTS.items() for name in names]
    mirrors += [
        f"_READER.{account}.CONSUMER.{one}"
        for account, names in ACCOUNTS.items()
        for name in names
        for one in (f"LIST.{name}", f"DELETE.{name}.*")
    ]
    makers = [User(f"streams-{site}", made("INTAKE_"), (f"_INBOX_streams-{site}.>",)) for site in SITES]
    readers = [User(name, _NATIVE, ("moretta.>", "my.>", "_INBOX.>", "_INBOX_subscriber.>")) for name in READERS]
    return [User("streams", (*made(""), *mirrors), ("_INBOX_streams.>",)), *makers, *readers]


def leaf(site: str) -> User:
    """A leaf, which comes by a connection for leaves alone; what it may hear has a test of its own (ADR 25).

    nats-server (2.15.1) refuses no leaf an acknowledgement or an answer to the server's own inboxes, in its account.
    """
    return User("leaf", (f"_LEAF.{site}.>", "$JSC.R.>", "$JS.ACK.>", "_R_.>"), ())


async def against_what_is_written(hub: HubPlace) -> dict[tuple[str, ...], bool]:
    """Try each user; returns what is not as expected: True if it is denied and should not be."""
    wrong: dict[tuple[str, ...], bool] = {}
    for user in users():
        one, seed = user.case(), Seed((hub.kept.folder / f"{user.name}.nk").read_text())
        denied = await denied_of(hub.server, one, seed=seed)
        tried = {(kind, place.lower(), queue) for kind, place, queue in one.tried}
        assert denied, f"{user.name} was refused nothing"
        wrong |= {(user.name, *probe): probe in denied for probe in (tried - denied) ^ one.allowed}
        wrong |= await by_domain(hub, user, seed)
    return wrong


async def by_domain(hub: HubPlace, user: User, seed: Seed) -> dict[tuple[str, ...], bool]:
    """Try JetStream's API by the hub's domain, which the server takes, judges and refuses as `$JS.API`."""
    api = {f"$JS.API.{call.replace('%s', name)}" for call in (*_WHOLE, *_CALLS) for name in _NAMES}
    may = {place.lower() for place in api if any(takes(pattern, place) for pattern in user.publish)}
    tried = [("publish", place.replace("$JS.", "$JS.hub.", 1), "") for place in sorted(api)]
    denied = await denied_of(hub.server, Case("subscriber", "MORETTA", tried=tried, name=user.name), seed=seed)
    known = {place for _, place, _ in denied}
    return {(user.name, "by domain", place): place in known for place in ({p.lower() for p in api} - known) ^ may}


async def leaf_against_what_is_written(hub: HubPlace, site: str, seed: Seed) -> dict[str, bool]:
    """Try what a leaf's key may send, with a connection for each try, which the first refusal ends."""
    places, user = asyncio.Semaphore(16), leaf(site)

    async def judged(number: int, place: str) -> tuple[str, bool]:
        async with places, Thief.come(hub.leaf_port, seed, f"try{number}") as thief:
            return place, await refused(thief, place)

    found = await asyncio.gather(*(judged(number, place) for number, place in enumerate(sorted(published()))))
    return {place: no for place, no in found if no == any(takes(one, place) for one in user.publish)}


async def refused(thief: Thief, place: str) -> bool:
    """Whether the hub ends a leaf's connection over this."""
    await until(lambda: thief.greeted, "the hub's greeting", every_s=0.001)
    thief.greeted = False
    thief.send(place, b"")
    thief.ping()
    await until(lambda: thief.greeted or thief.over, "the hub's judgement", every_s=0.001)
    return not thief.greeted
