"""NATS permissions of each identity, derived from the one table (ADR 20). Pure."""

from collections.abc import Iterable
from dataclasses import dataclass

from proto.subjects import (
    ALERTS,
    OPERATIONS,
    RULES,
    STREAM_OWNER,
    STREAMS,
    TABLE,
    WINDOWS,
    Account,
    Identity,
    Service,
    Stream,
    Subject,
)

JETSTREAM_API = "$JS.API."
"""What the subjects of JetStream's API begin with (NATS ADR-1)."""
SNAPSHOTS = "$JS.SNAPSHOT."
"""What the subjects begin with on which a snapshot's parts come and go."""
SERVICE_API = "$SRV"
"""What the subjects begin with on which micro services tell of themselves (NATS ADR-32)."""
SERVICES: tuple[Identity, ...] = ("ingest", "inference", "aggregate", "notify")
ACCOUNTS: dict[Identity, tuple[Account, ...]] = {
    "ingest": ("MORETTA", "MORETTA_FRAMES"),
    "inference": ("MORETTA", "MORETTA_FRAMES"),
    "aggregate": ("MORETTA",),
    "notify": ("MORETTA",),
    "operator": ("MORETTA",),
    "backup": ("MORETTA",),
    "subscriber": ("MORETTA",),
    "page": ("MORETTA",),
}
APART: dict[Identity, str] = {"subscriber": "MORETTA_SUBSCRIBERS", "page": "MORETTA_PAGE"}
"""Who is in an account of its own, and in which: just its rights are imported into it. An answer goes to whatever
subject of the asker's account it is told to, and in that account there is none but its own (ADR 20)."""
READER: Identity = "subscriber"
"""Whose rights a reader with a name has, and after whom the inboxes of all apart are called: each is alone in its
account, so that a program, or the page, does for any reader's seed."""
NAMED = f"{READER}-"
"""What the user of a reader with a name begins with: `subscriber-acme`."""
ORIGIN = "_ORIGIN."
"""What JetStream's API of the account that gives is called in the account of a reader or of the page."""
MIRRORING = "_MIRROR."
"""What the subjects begin with on which a reader's mirrors get their messages; the reader's account follows."""
READERS_API = "_READER."
"""What JetStream's API of a reader's account begins with in the account that gives; the reader's account follows."""
USER_INFO = "$SYS.REQ.USER.INFO"
"""Who asks on it is told its own rights: the maker of readers' mirrors knows the readers from there."""
NATIVE = (
    "$JS.API.INFO",
    *(f"$JS.API.STREAM.{verb}" for verb in ("NAMES", "LIST", "INFO.*", "MSG.GET.*")),
    "$JS.API.DIRECT.GET.>",
    "$JS.API.CONSUMER.>",
    "$JS.ACK.>",
    "$JS.FC.>",
)
"""All of JetStream's API that reads, and consumers: a reader's, on the mirrors in its own account (ADR 45)."""
OWN_SPACE = ("moretta.>", "_INBOX.>", "my.>")
"""What a reader may subscribe in its own account: all that is told there, any inbox, and `my.>` for what its consumers
push. Not `>`: on the mirrors' own subjects each message comes once more; and JetStream tells who made them."""
DELIVERED = ("_INBOX.>", "my.>", f"_INBOX_{READER}.>")
"""Where a reader's consumers may deliver: its inboxes and `my.>`, on which its account imports nothing (ADR 45)."""
IMPORTED_REPLIES = "_R_.>"
"""Where a service finds the askers of such an account: the server's own names for their inboxes."""


GIVEN = (str(WINDOWS.stream), str(ALERTS.stream))
"""The streams that a reader with a name reads, unless `nats.yaml` says others."""
REPAIRED = tuple(dict.fromkeys(str(row.stream) for row in (WINDOWS, ALERTS, RULES, OPERATIONS)))
"""The streams from which `moretta repair` removes what is about the future (ADR 38)."""


@dataclass(frozen=True)
class Rights:
    """What one user may publish and subscribe; everything else is denied.

    Whoever answers may publish to the inboxes of those who ask, whose names nobody can guess. NATS's `allow_responses`
    would let it publish wherever a question says, and forgets at each reload of the server what may be answered.
    """

    publish: tuple[str, ...]
    subscribe: tuple[str, ...]


def stream_info(stream: str) -> str:
    """The JetStream API subject that tells of a stream, with the server's time (NATS ADR-1)."""
    return f"$JS.API.STREAM.INFO.{stream}"


def control_subjects(service: Service) -> list[str]:
    """The subjects on which a micro service tells of itself: to all, by its name, by its id (NATS ADR-32)."""
    asked = [f"{SERVICE_API}.{verb}" for verb in ("PING", "INFO", "STATS")]
    return [f"{subject}{tail}" for subject in asked for tail in ("", f".{service.name}", f".{service.name}.*")]


def info_subject(service: Service) -> str:
    """Who is asked for what a micro service of that name offers; every instance answers (NATS ADR-32)."""
    return f"$SRV.INFO.{service.name}"


def user_of(identity: Identity, account: Account) -> str:
    """Return the NATS user name of an identity in an account; see `inbox_name`."""
    return f"{identity}-frames" if account == "MORETTA_FRAMES" else identity


def inbox_name(identity: Identity, account: Account) -> str:
    """Return what a user's inboxes are called after, `_INBOX_<name>`: the user; for all who are apart the reader."""
    return READER if identity in APART else user_of(identity, account)


def account_of(identity: Identity, account: Account) -> str:
    """Return the account on the server that an identity is in: its own, if it is apart from that one."""
    return APART.get(identity, account)


def named_account(user: str) -> str:
    """Return the account of a reader with a name."""
    return f"{APART[READER]}_{user.removeprefix(NAMED)}"


def asked_streams(identity: str) -> frozenset[str]:
    """Return the streams that an identity reads by asking for each message: all but their owner's (ADR 20).

    The server doesn't check where it sends what a consumer or a direct get delivers. Sent to JetStream's own API an
    empty answer deletes a stream, and whoever chooses the bytes has any order given; the owner may give them anyway.
    """
    if identity == STREAM_OWNER:
        return frozenset()
    return frozenset(row.stream for row in TABLE if row.stream and identity in row.subscribers)


def inbox(name: str) -> str:
    """Return the subjects of the inboxes that are called after this user."""
    return f"_INBOX_{name}.>"


def rights_of(identity: Identity, account: Account) -> Rights:
    """Return the rights of an identity in one account, by the names that it has for them."""
    if identity == READER:
        return reading(asked_of(identity))
    if identity in APART:
        return looking(heard_by(identity), asked_of(identity))
    rights = _given(identity, account)
    return Rights((*rights.publish, *_answering(identity, account)), rights.subscribe)


def reading(asked: Iterable[str]) -> Rights:
    """Return the rights of a reader in its own account: all of JetStream that reads, and what its giver answers."""
    return Rights((*asked, *NATIVE), (*OWN_SPACE, inbox(READER)))


def looking(rows: Iterable[Subject], asked: Iterable[str]) -> Rights:
    """Return the rights of the page in its own account, which has no stream: it asks those of its giver.

    The server checks the name that the account's mappings give a question, too.
    """
    questions = tuple(asked)
    mapped = (origin(subject) for subject in questions if subject.startswith(JETSTREAM_API))
    return Rights((*questions, *mapped), (*(row.wildcard() for row in rows), inbox(READER)))


def asked_of(identity: Identity) -> tuple[str, ...]:
    """Return what an identity that is apart asks in MORETTA, by MORETTA's names; a reader none of its JetStream."""
    asked = _given(identity, "MORETTA").publish
    return tuple(subject for subject in asked if identity != READER or not subject.startswith(JETSTREAM_API))


def heard_by(identity: Identity) -> tuple[Subject, ...]:
    """Return the rows that an identity may subscribe."""
    return tuple(row for row in TABLE if identity in row.subscribers)


def mirrored(rows: Iterable[Subject]) -> tuple[Stream, ...]:
    """Return the streams of these rows, each once."""
    names = {row.stream for row in rows}
    return tuple(stream for stream in STREAMS if stream.name in names)


def origin(subject: str) -> str:
    """Return the name, in a reader's or the page's account, of a subject of the giving account's JetStream API."""
    return subject.replace(JETSTREAM_API, ORIGIN)


def _given(identity: Identity, account: Account) -> Rights:
    """Return what the table gives an identity in an account, without answers to others."""
    rows = [row for row in TABLE if row.account == account]
    publish = [row.wildcard() for row in rows if identity in row.publishers]
    subscribe = [_subscription(row) for row in rows if identity in row.subscribers]
    publish += [subject for row in rows if identity in row.publishers for subject in _controls(row)]
    subscribe += [subject for row in rows if identity in row.subscribers for subject in _controls(row)]
    if account == "MORETTA":
        publish += _jetstream(identity, rows)
    return Rights(tuple(publish), (*subscribe, inbox(inbox_name(identity, account))))


def _answering(identity: Identity, account: Account) -> list[str]:
    """Return the inboxes of those whom an identity answers, and where the streams' owner learns its own rights."""
    rows = [row for row in TABLE if row.account == account and row.reply and identity in row.subscribers]
    asking = dict.fromkeys(name for row in rows for name in row.publishers)
    found = [inbox(user_of(name, account)) for name in asking if name not in APART]
    found += [IMPORTED_REPLIES] if set(asking) & set(APART) else []
    return found + ([USER_INFO] if identity == STREAM_OWNER and account == "MORETTA" else [])


def _controls(row: Subject) -> list[str]:
    return control_subjects(row.service) if row.service else []


def _subscription(row: Subject) -> str:
    """Return the subject, with the queue group where only that may be joined: a tap beside it is refused."""
    return f"{row.wildcard()} {row.queue}" if row.queue else row.wildcard()


def _jetstream(identity: Identity, rows: list[Subject]) -> list[str]:
    """Return the JetStream API subjects: everything but destroying for the streams' owner, asking for readers."""
    if identity == "backup":
        return _keeping()
    # Nobody asks how full the account is: its bytes grow with each passage, which would be told before its window.
    api: list[str] = []
    for stream in STREAMS:
        mine = [row for row in rows if row.stream == stream.name]
        reads = any(identity in row.subscribers for row in mine)
        writes = any(identity in row.publishers for row in mine)
        if identity == STREAM_OWNER:
            api += [f"$JS.API.STREAM.{verb}.{stream.name}" for verb in ("CREATE", "UPDATE")]
            api += _consuming(stream.name) if reads else []
        if reads or writes or identity == STREAM_OWNER:
            api.append(stream_info(stream.name))
        if stream.name in asked_streams(identity) or (writes and stream.expires):
            # Who keeps leases asks the leader in any case: a direct get may be answered by a late copy.
            api.append(f"$JS.API.STREAM.MSG.GET.{stream.name}")
    return api


def _keeping() -> list[str]:
    """Return what copies streams out and in again, what repairs them, and what tells whether services run meanwhile.

    The server sends a snapshot, and at its end an empty message, wherever it is told to: this identity can destroy, as
    the streams' owner can. Its key belongs on no machine that serves (ADR 32).
    """
    verbs = ("INFO", "SNAPSHOT", "RESTORE", "DELETE")
    kept = [stream.name for stream in STREAMS if stream.kept]
    api = [f"{JETSTREAM_API}STREAM.{verb}.{name}" for name in kept for verb in verbs]
    api += [f"{SNAPSHOTS}{way}.{name}.>" for name in kept for way in ("ACK", "RESTORE")]
    api += [f"{JETSTREAM_API}STREAM.MSG.{verb}.{name}" for name in REPAIRED for verb in ("GET", "DELETE")]
    return api + [stream_info(stream.name) for stream in STREAMS if stream.expires]


def _consuming(stream: str) -> list[str]:
    return [
        f"$JS.API.CONSUMER.CREATE.{stream}",
        f"$JS.API.CONSUMER.CREATE.{stream}.>",
        f"$JS.API.CONSUMER.DELETE.{stream}.>",
        f"$JS.API.DIRECT.GET.{stream}",
        f"$JS.API.DIRECT.GET.{stream}.>",
        f"$JS.FC.{stream}.>",
    ]
