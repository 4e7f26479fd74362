"""NATS permissions, derived from the table: who may do what, and what nobody may."""

import pytest
from nats_match import overlap, takes

from proto.permissions import (
    ACCOUNTS,
    OWN_SPACE,
    REPAIRED,
    SERVICES,
    Rights,
    heard_by,
    mirrored,
    origin,
    rights_of,
    user_of,
)
from proto.subjects import (
    AIM,
    AIM_RECORD,
    AIM_REPORTS,
    ALERTS,
    FRAMES,
    FRAMES_QUEUE,
    OPERATIONS,
    RULES,
    STATS,
    STATS_SERVICE,
    STREAM_OWNER,
    STREAMS,
    TABLE,
    WINDOWS,
    Account,
    Identity,
    Subject,
)

USERS = [(identity, account) for identity, accounts in ACCOUNTS.items() for account in accounts]
READERS = {"subscriber", "page"}
"""Who is in an account of its own."""
READER: Identity = "subscriber"
"""Who has mirrors there, and may all of JetStream that reads (ADR 45)."""
PEOPLE: tuple[Identity, ...] = ("operator", "backup", "subscriber", "page")
every_user = pytest.mark.parametrize(("identity", "account"), USERS, ids=[user_of(*user) for user in USERS])


def may_publish(rights: Rights, subject: str) -> bool:
    return any(takes(pattern, subject) for pattern in rights.publish)


def touches(patterns: tuple[str, ...], subject: str) -> list[str]:
    """Return the patterns that share anything with a subject pattern; a queue group's name is left out."""
    return [pattern for pattern in patterns if overlap(pattern.split(" ")[0], subject)]


def test_only_ingest_and_inference_are_in_frames():
    """Frames have an account of their own, with two users."""
    assert [identity for identity, account in USERS if account == "MORETTA_FRAMES"] == ["ingest", "inference"]
    assert len({user_of(*user) for user in USERS}) == len(USERS)
    assert {identity for identity, _ in USERS} == {*SERVICES, *PEOPLE}


@every_user
def test_frames_only_in_the_queue_group(identity: Identity, account: Account):
    """Nobody taps frames: only inference subscribes them, in the account MORETTA_FRAMES, and in the queue group."""
    found = touches(rights_of(identity, account).subscribe, FRAMES.wildcard())
    mine = [f"{FRAMES.wildcard()} {FRAMES_QUEUE}"] if (identity, account) == ("inference", "MORETTA_FRAMES") else []
    mine = ["moretta.>"] if identity == READER else mine  # into whose account no frame is imported
    assert found == mine


@every_user
def test_frames_account_has_no_jetstream(identity: Identity, account: Account):
    """No frame can be stored: no JetStream subject in MORETTA_FRAMES."""
    rights = rights_of(identity, account)
    assert account == "MORETTA" or not touches(rights.publish, "$JS.>")


@every_user
@pytest.mark.parametrize("row", TABLE, ids=lambda row: row.message.__name__)
def test_rights_are_the_tables(identity: Identity, account: Account, row: Subject):
    """A row is published by its publishers and subscribed by its subscribers, and by nobody else."""
    rights = rights_of(identity, account)
    here = row.account == account
    assert bool(touches(rights.publish, row.wildcard())) == (here and identity in row.publishers)
    own = identity == READER and row.pattern.startswith("moretta.")
    assert bool(touches(rights.subscribe, row.wildcard())) == (own or (here and identity in row.subscribers))


@pytest.mark.parametrize("row", [WINDOWS, ALERTS, RULES], ids=["windows", "alerts", "rules"])
def test_only_aggregate_publishes_numbers_and_alarms(row: Subject):
    """Numbers and alarms have one source."""
    assert [i for i, a in USERS if touches(rights_of(i, a).publish, row.wildcard())] == ["aggregate"]


def test_operational_alerts_come_from_aggregate_and_from_notify():
    """Numbers that are missing, and people who can't be told; nobody else says so, and ingest can't read them."""
    assert [i for i, a in USERS if touches(rights_of(i, a).publish, OPERATIONS.wildcard())] == ["aggregate", "notify"]
    assert not touches(rights_of("ingest", "MORETTA").subscribe, OPERATIONS.wildcard())
    assert touches(rights_of("operator", "MORETTA").subscribe, OPERATIONS.wildcard())


def test_the_page_may_less_than_the_subscriber():
    """What it shows: no rule's state, no decision to tell, no delivery, live or stored; and it asks for statistics."""
    page = rights_of("page", "MORETTA")
    rows = ("windows", "alerts", "operations", "cameras")
    heard = [row.wildcard() for row in TABLE if row.pattern.split(".")[2] in rows and row.public]
    assert list(page.subscribe) == [*heard, "_INBOX_subscriber.>"]
    asked = {subject for subject in page.publish if not subject.startswith("$SRV.")} - {STATS.wildcard()}
    streams = [name.upper() for name in rows]
    questions = {f"$JS.API.STREAM.{verb}.{name}" for name in streams for verb in ("INFO", "MSG.GET")}
    assert asked == questions | {origin(one) for one in questions}, "by both names: the account maps one to the other"


@every_user
def test_only_operators_read_what_aiming_tells(identity: Identity, account: Account):
    """Reports and their audit: a subscriber has no way to them, live or stored, and no stream keeps the reports."""
    rights = rights_of(identity, account)
    who = (identity, account) == ("operator", "MORETTA")
    own = identity == READER  # whose account has none of it
    assert bool(touches(rights.subscribe, AIM_REPORTS.wildcard())) == (who or own)
    assert bool(touches(rights.publish, AIM.wildcard())) == who
    assert bool(touches(rights.subscribe, AIM_RECORD.wildcard())) == (who or own)
    assert AIM_REPORTS.stream is None
    assert "AUDIT" not in {stream.name for stream in mirrored(heard_by(READER))}


@every_user
def test_nobody_destroys_a_stream(identity: Identity, account: Account):
    """Neither a stream nor a message in it can be removed over the bus, but by who backs up and repairs."""
    rights = rights_of(identity, account).publish
    verbs = ("PURGE", "DELETE", "MSG.DELETE", "SNAPSHOT", "RESTORE", "LEADER.STEPDOWN", "PEER.REMOVE")
    subjects = [f"$JS.API.STREAM.{verb}.{stream.name}" for stream in STREAMS for verb in verbs]
    may = {(name, "MSG.DELETE") for name in REPAIRED}
    may |= {(one.name, verb) for one in STREAMS if one.kept for verb in ("DELETE", *verbs[3:5])}
    kept = [f"$JS.API.STREAM.{verb}.{one.name}" for one in STREAMS for verb in verbs if (one.name, verb) in may]
    assert [subject for subject in subjects if touches(rights, subject)] == (kept if identity == "backup" else [])


def test_a_backup_has_what_was_published_and_nothing_finer():
    """No sighting, no passage, no camera's day, no message that nobody could read leaves the site in it (ADR 32)."""
    kept = {stream.name for stream in STREAMS if stream.kept}
    assert kept == {"WINDOWS", "ALERTS", "RULES", "OPERATIONS", "DELIVERIES", "KV_SILENCES", "CONTROL", "AUDIT"}


@pytest.mark.parametrize("identity", PEOPLE)
@pytest.mark.parametrize("verb", ["CREATE", "UPDATE"])
def test_people_make_no_streams(identity: Identity, verb: str):
    """Operators and subscribers read; streams are the services' to make."""
    assert not touches(rights_of(identity, "MORETTA").publish, f"$JS.API.STREAM.{verb}.*")


@every_user
@pytest.mark.parametrize("verb", ["CREATE", "UPDATE"])
def test_streams_are_their_owners_to_make(identity: Identity, account: Account, verb: str):
    """And nobody else's: a stream may copy another one (`sources`), or publish on any subject (`republish`)."""
    publish = rights_of(identity, account).publish
    made = {s.name for s in STREAMS if touches(publish, f"$JS.API.STREAM.{verb}.{s.name}")}
    assert made == ({s.name for s in STREAMS} if identity == STREAM_OWNER else set())


def test_the_rows_of_a_stream_have_the_same_readers():
    """Whoever may make a consumer of a stream chooses what it shows."""
    for stream in STREAMS:
        assert len({frozenset(row.subscribers) for row in TABLE if row.stream == stream.name}) == 1, stream.name


@every_user
def test_reading_only_of_streams_one_may_subscribe(identity: Identity, account: Account):
    """JetStream is no way round: messages only of streams with a row one may subscribe, and their owner's consumers."""
    if identity == READER:  # of the mirrors in its own account
        return
    rights = rights_of(identity, account)
    readable = {row.stream for row in TABLE if row.account == account and identity in row.subscribers}
    for stream in STREAMS:
        ways = ("CONSUMER.CREATE.{}", "CONSUMER.CREATE.{}.c.x", "DIRECT.GET.{}", "DIRECT.GET.{}.x")
        open_ways = [way for way in ways if may_publish(rights, "$JS.API." + way.format(stream.name))]
        assert open_ways == (list(ways) if stream.name in readable and identity == STREAM_OWNER else [])
        asks = may_publish(rights, f"$JS.API.STREAM.MSG.GET.{stream.name}")
        repairs = identity == "backup" and stream.name in REPAIRED
        assert asks == (repairs or (stream.name in readable and (identity != STREAM_OWNER or stream.expires)))


@every_user
def test_nobody_has_a_consumer_that_lasts(identity: Identity, account: Account):
    """Whoever could acknowledge another's alerts could keep mails from being sent: there are none to acknowledge.

    A reader's consumers are of the mirrors in its own account.
    """
    publish = rights_of(identity, account).publish if identity != READER else ()
    for subject in (
        "$JS.ACK.>",
        "$JS.API.CONSUMER.DURABLE.>",
        "$JS.API.CONSUMER.MSG.NEXT.>",
        "$JS.API.CONSUMER.INFO.>",
    ):
        assert not touches(publish, subject)


@every_user
def test_inboxes_are_private(identity: Identity, account: Account):
    """Nobody reads another's replies; those who are apart have one name for theirs, each in its own account."""
    called = {user: "subscriber" if user[0] in READERS else user_of(*user) for user in USERS}
    mine = f"_INBOX_{called[identity, account]}.>"
    subscribe = rights_of(identity, account).subscribe
    assert mine in subscribe
    others = [f"_INBOX_{name}.>" for name in called.values() if name != called[identity, account]]
    assert not [inbox for inbox in others if touches(subscribe, inbox)]
    assert bool(touches(subscribe, "_INBOX.>")) == (identity == READER), "which is alone in its account"


@every_user
def test_nothing_is_open(identity: Identity, account: Account):
    """No right to everything of the bus, of JetStream or of the server itself."""
    rights = rights_of(identity, account)
    known = ("moretta.v1.", "$JS.", "$KV.", "$SRV.", "_INBOX_", "_R_.")
    known += {"page": ("_ORIGIN.",), READER: OWN_SPACE, "aggregate": ("$SYS.REQ.USER.INFO",)}.get(identity, ())
    for pattern in (*rights.publish, *rights.subscribe):
        assert pattern.startswith(known)
        assert pattern.split(" ")[0].count(".") >= 1
    for service in ("ingest", "aggregate", "notify"):
        may = (identity, account) == (service, "MORETTA")
        assert bool(touches(rights.publish, f"$KV.LEASES_{service.upper()}.>")) == may, "who shares work has leases"
    silences = [("operator", "MORETTA")]
    assert bool(touches(rights.publish, "$KV.SILENCES.>")) == ((identity, account) in silences), "operators silence"
    short = [p for p in rights.publish if p.startswith("$JS.") and len(p.split(".")) < 4 and identity != READER]
    assert short == [], "how full the account is grows with each passage: nobody is told"


@every_user
def test_only_servers_of_requests_may_answer(identity: Identity, account: Account):
    """Replies go out only where requests come in, and only to those who ask: frames, orders, questions to aggregate."""
    answers = {
        ("inference", "MORETTA_FRAMES"): ["_INBOX_ingest-frames.>"],
        ("ingest", "MORETTA"): ["_INBOX_operator.>"],
        ("aggregate", "MORETTA"): ["_INBOX_notify.>", "_INBOX_operator.>", "_R_.>"],
        ("notify", "MORETTA"): ["_INBOX_operator.>"],
    }
    inboxes = [subject for subject in rights_of(identity, account).publish if subject.startswith(("_INBOX", "_R_"))]
    assert sorted(inboxes) == answers.get((identity, account), [])


@every_user
def test_who_asks_what_was_published_and_who_answers(identity: Identity, account: Account):
    """Aggregate answers, in one queue group; operator, readers and notify ask; `$SRV` is open for it alone."""
    rights = rights_of(identity, account)
    asks, answers = identity in {"operator", "notify", *READERS}, (identity, account) == ("aggregate", "MORETTA")
    assert bool(touches(rights.publish, STATS.wildcard())) == asks
    own = ["moretta.>"] if identity == READER else []
    assert touches(rights.subscribe, STATS.wildcard()) == ([f"{STATS.wildcard()} moretta-stats"] if answers else own)
    for verb in ("PING", "INFO", "STATS"):
        ways = [f"$SRV.{verb}", f"$SRV.{verb}.{STATS_SERVICE.name}", f"$SRV.{verb}.{STATS_SERVICE.name}.ID"]
        assert all(may_publish(rights, way) == asks for way in ways)
        assert all(bool(touches(rights.subscribe, way)) == answers for way in ways)
        assert not may_publish(rights, f"$SRV.{verb}.another")
    assert not touches(rights.subscribe, "$SRV.PING.another")
