"""Probes, which change nothing, of the rights that an identity must have and must not have; and their findings.

The server reports a refusal some time later, with an error that names the subject. Publishing is tried only where it
is harmless: with questions to JetStream's API that change nothing, and with orders to a site that does not exist.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Literal

from operate.doctor.core.findings import Finding, fail, left_out, ok
from proto.permissions import JETSTREAM_API, SERVICE_API, rights_of
from proto.subjects import PAUSE, STATS, STREAMS, TABLE, Account, Identity, covers

NOWHERE = "moretta-doctor-asks"
"""The name of the site and the stream in probes; neither exists."""
EXPECTED = {"Nats-Expected-Stream": NOWHERE}
"""The headers of what is published: a stream that takes its subject, where the server grants too much, refuses it."""
_HARMLESS = (".INFO", ".MSG.GET")
_OF_A_SITE = {row.wildcard(): row for row in (PAUSE, STATS)}
"""Orders that only a site's own services listen to: no service acts on one for a site that does not exist."""
Way = Literal["publish", "subscribe"]


@dataclass(frozen=True)
class Probe:
    """One thing to try. `granted` says whether the table grants it."""

    way: Way
    subject: str
    granted: bool


def probes(identity: Identity, account: Account) -> list[Probe]:
    """Return the probes for an identity in an account."""
    rights = rights_of(identity, account)
    heard = [subject for subject in rights.subscribe if " " not in subject and subject not in _orders()]
    allowed = [Probe("subscribe", subject, granted=True) for subject in heard]
    allowed += [Probe("publish", subject, granted=True) for subject in _asked(rights.publish)]
    return [*allowed, *(probe for probe in _forbidden() if not _is_granted(probe, identity, account))]


def _orders() -> set[str]:
    """Return the subjects of requests: a probe that subscribed there and did not answer would hold a real one up."""
    return {row.wildcard() for row in TABLE if row.reply}


def _asked(publish: Iterable[str]) -> Iterator[str]:
    for subject in publish:
        if any(part in subject for part in _HARMLESS) and "*" not in subject and not subject.startswith(SERVICE_API):
            yield subject
        elif subject in _OF_A_SITE:
            yield _OF_A_SITE[subject].subject(site=NOWHERE)


def _forbidden() -> Iterator[Probe]:
    """Yield what hardly any identity may do: hear pictures, sightings and others' answers, and destroy."""
    heard = [">", "_INBOX.>", f"{JETSTREAM_API}>", *(row.wildcard() for row in TABLE if not row.public)]
    yield from (Probe("subscribe", subject, granted=False) for subject in dict.fromkeys(heard))
    verbs = ("CREATE", "UPDATE", "DELETE", "PURGE", "SNAPSHOT", "RESTORE")
    yield from (Probe("publish", f"{JETSTREAM_API}STREAM.{verb}.{NOWHERE}", granted=False) for verb in verbs)
    yield Probe("publish", f"{JETSTREAM_API}CONSUMER.CREATE.{NOWHERE}", granted=False)
    for stream in STREAMS:
        if stream.expires:  # buckets of leases: no server stores what a probe says there, see `EXPECTED`
            yield Probe("publish", f"$KV.{stream.name.removeprefix('KV_')}.v1.{NOWHERE}", granted=False)


def _is_granted(probe: Probe, identity: Identity, account: Account) -> bool:
    rights = rights_of(identity, account)
    given = rights.publish if probe.way == "publish" else rights.subscribe
    return any(covers(pattern.split(" ")[0], probe.subject) for pattern in given)


def judged(user: str, tried: Iterable[Probe], refused: Iterable[str]) -> list[Finding]:
    """Return the findings on a user's rights, from the refusals that the server reported."""
    tried, errors = list(tried), list(refused)
    check = f"rights of {user}"
    denied = {probe for probe in tried if any(_names(text, probe) for text in errors)}
    lacking = [probe for probe in tried if probe.granted and probe in denied]
    beyond = [probe for probe in tried if not probe.granted and probe not in denied]
    found = []
    if lacking:
        todo = "the server's rights are another version's: moretta nats apply, and reload the server"
        found.append(fail(check, f"refused, and should not be: {_listed(lacking)}", todo))
    if beyond:
        todo = "this key opens more than it should: is the server's configuration that of moretta nats apply?"
        found.append(fail(check, f"granted, and should not be: {_listed(beyond)}", todo))
    good = len([probe for probe in tried if probe.granted])
    return found or [ok(check, f"{good} granted and {len(tried) - good} refused, as they should be")]


def _names(text: str, probe: Probe) -> bool:
    """Return whether a server error is about this probe. It quotes the subject, sometimes in small letters."""
    way = "publish" if probe.way == "publish" else "subscription"
    return way in text.lower() and f'"{probe.subject}"'.lower() in text.lower()


def _listed(probes: list[Probe]) -> str:
    shown = [f"{probe.way} {probe.subject}" for probe in probes[:3]]
    return ", ".join(shown) + (f" and {len(probes) - 3} more" if len(probes) > 3 else "")


def open_server() -> Finding:
    """Return the finding for a server without identities."""
    todo = "give each its own: moretta nats apply (docs/operations.md)"
    return left_out("rights", "nats.seed is not set, so this server may have no identities", todo)
