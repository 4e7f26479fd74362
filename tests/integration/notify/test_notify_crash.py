"""Killed and frozen at random, notify tells of every alert; a mail comes twice in the stated gap alone, and is counted.

By hand: `MORETTA_SEEDS=50 .venv/bin/pytest -n 0 -m long tests/integration/notify/test_notify_crash.py -k seed`.
"""

import asyncio
import contextlib
import os
import random
import signal
import time
from collections import defaultdict

import nats.errors
import pytest
from patience import patient, until
from site_process import Site

from proto.public import DeliveryV1
from proto.subjects import ALERTS, DELIVERIES, NOTIFICATIONS, NOTIFY_LEASES, STREAMS
from services.notify.core.outbox import AT_ONCE
from services.notify.core.recipient import digest

SEEDS = (
    0,
    1,
    *(pytest.param(seed, marks=pytest.mark.long) for seed in range(2, int(os.environ.get("MORETTA_SEEDS", "3")))),
)
FEED_S, LIMIT_S = 6, 90
WHO = ("anna@example.org", "bob@example.org")
SALT = "0123456789abcdef"
HASHES = {digest(SALT.encode(), "field-staff", who): who for who in WHO}
SECOND = 10**9


def settings(port: int, *sites: str, **route) -> dict:
    """A file that has two people told of every alert by itself, at once."""
    at_once = {"group_by": ["zone", "rule"], "group_wait_s": 0, "group_interval_s": 1} | route
    return {
        "log": {"format": "json"},
        "sites": [{"id": name} for name in sites or ["market"]],
        "notify": {
            "smtp": {"port": port, "security": "none", "sender": "alerts@example.org"},
            "receivers": [{"id": "field-staff", "email": list(WHO), "max_per_hour": 3000}],
            "routes": [{"receiver": "field-staff", **at_once}],
            "salt": SALT,
        },
    }


class NotifyReplicas:
    """A site on a server with the box's permissions; replicas of notify by name; a mail server with faults."""

    def __init__(self, site: Site, bus, aggregate, box, make_alert) -> None:
        self.site, self.bus, self.aggregate, self.box, self.make_alert = site, bus, aggregate, box, make_alert
        self.replicas: dict = {}
        self.accepted: dict[tuple[str, str], list[int]] = defaultdict(list)
        self.drops = 0
        self._sent: dict[tuple[str, str, str], list] = defaultdict(list)
        self._next = 1

    def start(self, *names: str) -> None:
        for name in names:
            self.replicas[name] = self.site.start("notify", MORETTA_NOTIFY__REPLICA=name)

    async def fire(self, number: int, state: str = "firing", site: str = "market") -> None:
        alert = self.make_alert(site=site, rule=f"r{number}", alert=f"{number:016x}", state=state, zone="hall")
        await self.aggregate.store(ALERTS, alert)

    async def feed(self, rng: random.Random) -> tuple[set[int], set[int]]:
        """Fire alerts for some seconds, some of which end; returns all of them, and those that ended."""
        fired, over, end = set(), set(), time.monotonic() + FEED_S
        ends: list[tuple[float, int]] = []
        while time.monotonic() < end:
            await self.fire(len(fired))
            if rng.random() < 0.4:
                ends.append((time.monotonic() + rng.uniform(1, 5), len(fired)))
            fired.add(len(fired))
            for one in [one for one in ends if one[0] < time.monotonic()]:
                ends.remove(one)
                over.add(one[1])
                await self.fire(one[1], "resolved")
            await asyncio.sleep(rng.uniform(0.05, 0.4))
        return fired, over

    def spoil(self, rng: random.Random, hang_up: float = 0.02) -> None:
        """Have the mail server note what it takes, and now and then hang up before it says so."""

        async def after_data(server, recipient: str) -> None:
            message = self.box.mails[-1][1]
            self.accepted[recipient, message["Message-ID"]].append(time.time_ns())
            if rng.random() < hang_up:
                self.drops += 1
                server.transport.abort()

        self.box.after_data = after_data

    async def disturb(self, rng: random.Random, name: str) -> tuple[int, int]:
        """Kill or freeze a replica at random moments, for ever; returns how often each once it is told to end."""
        kills = freezes = 0
        with contextlib.suppress(asyncio.CancelledError):
            while True:
                await asyncio.sleep(rng.uniform(0.3, 3.5))
                process = self.replicas[name].process
                if rng.random() < 0.6:
                    kills += 1
                    process.kill()
                    process.wait()  # nothing is to be awaited before it is seen to be dead: it may be started below
                    await asyncio.sleep(rng.choice([0, 0, 1]))
                    self.start(name)
                    continue
                freezes += 1
                process.send_signal(signal.SIGSTOP)
                try:
                    await asyncio.sleep(rng.choice([0.1, 1, 5]))
                finally:
                    process.send_signal(signal.SIGCONT)
        return kills, freezes

    async def until(self, condition, what: str):
        """Wait for a condition to be true; return what it says."""
        return await until(
            condition, lambda: f"{what}; they said {self.said()}", LIMIT_S, ignoring=(nats.errors.Error,)
        )

    def said(self) -> dict:
        """What each replica said last, and its exit code."""
        return {name: (replica.process.poll(), replica.lines[-5:]) for name, replica in self.replicas.items()}

    async def end(self) -> None:
        """Stop every replica, in order; nobody's address is in what it said."""
        for name, replica in self.replicas.items():
            await self.until(lambda replica=replica: replica.running, f"{name} up")
            assert await asyncio.to_thread(replica.stop) == 0, replica.lines[-10:]
        assert not [line for s in self.site.services for line in s.lines if "@example.org" in str(line)]

    async def sent(self) -> dict[tuple[str, str, str], list]:
        """The records of what was accepted, by alert, state and recipient's hash, with the time they were stored."""
        for stored in await self.bus.history_from(self._next, DELIVERIES):  # what came since the last look
            self._next = stored.sequence + 1
            record = stored.message
            assert isinstance(record, DeliveryV1)
            if record.outcome == "sent":
                named = (record.alert, record.state, record.recipient_sha256)
                self._sent[named].append((record.notification, stored.time))
        return self._sent

    async def holder(self, site="market") -> str | None:
        """The replica that tells of a site, as the bucket says."""
        _, entry = await self.bus.streams.entry(NOTIFY_LEASES, NOTIFY_LEASES.subject(site=site))
        return entry.holder if entry is not None else None


@pytest.fixture(name="notify")
async def _notify(tmp_path, serve_mail, make_alert):
    site, box = Site(tmp_path), await serve_mail()
    site.write(settings(box.port))
    site.server.start()
    try:
        async with site.bus("notify") as bus, site.bus("aggregate") as aggregate:
            mine = ["ALERTS", "OPERATIONS", "DELIVERIES", "DEAD", "AUDIT", "KV_SILENCES", "KV_LEASES_NOTIFY"]
            await aggregate.ensure_streams([s.name for s in STREAMS if s.name in mine])
            yield NotifyReplicas(site, bus, aggregate, box, make_alert)
    finally:
        site.close()


@pytest.mark.timeout(240)
@pytest.mark.parametrize("seed", SEEDS)
async def test_seed_of_kills_and_freezes(notify, seed):
    """One replica (even seeds) or two (odd ones), struck every other second, also while they start and restore."""
    rng = random.Random(seed)
    names = ["one", "two"][: 1 + seed % 2]
    notify.spoil(random.Random(f"{seed}/mail"))
    notify.start(*names)
    await notify.until(notify.holder, "a holder")
    striking = [asyncio.create_task(notify.disturb(random.Random(f"{seed}/{name}"), name)) for name in names]
    fired, over = await notify.feed(rng)
    for task in striking:
        task.cancel()
    strikes = [sum(each) for each in zip(*await asyncio.gather(*striking), strict=True)]
    notify.start(*[name for name in names if notify.replicas[name].process.poll() is not None])

    async def all_told():
        sent = await notify.sent()
        return all((f"{n:016x}", "firing", who) in sent for n in fired - over for who in HASHES) and all(
            (alert, "resolved", who) in sent
            for alert, state, who in sent
            if state == "firing" and int(alert, 16) in over
        )

    await notify.until(all_told, "everyone told of everything")
    await notify.end()
    await once_but_for_the_gap(notify, strikes)


async def once_but_for_the_gap(notify, strikes: list[int]) -> None:
    """One decision for each change, one record of its acceptance, no mail more than strikes and hang-ups explain."""
    kills, freezes = strikes
    sent = await notify.sent()
    assert {len(records) for records in sent.values()} == {1}
    decided = {s.message.notification for s in await notify.bus.history(NOTIFICATIONS) if s.message.reason}
    assert {records[0][0] for records in sent.values()} == decided
    per_mail = {who: len({records[0][0] for (_, _, w), records in sent.items() if w == who}) for who in HASHES}
    for who, count in per_mail.items():
        assert len({message for recipient, message in notify.accepted if recipient == HASHES[who]}) == count
    again = sum(len(times) - 1 for times in notify.accepted.values())
    struck = f"{kills} kills, {freezes} freezes, {notify.drops} hang-ups"
    print(f"{len(notify.accepted)} mails, {again} of them again; {struck}")
    assert again <= notify.drops + (kills + freezes) * AT_ONCE["email"]
    assert kills + freezes >= 2, "it proves little"


async def test_a_frozen_holder_sends_nothing_after_the_other_took_over(notify):
    """Within 5 s of SIGSTOP the other one tells; the first, back, sees that its lease has run out and is silent."""
    notify.spoil(random.Random(2))
    notify.start("one", "two")
    first = await notify.until(notify.holder, "a holder")
    (second,) = {"one", "two"} - {first}
    frozen, other = notify.replicas[first], notify.replicas[second]
    await notify.until(lambda: frozen.running and other.running, "both up")
    await notify.fire(0)
    await notify.until(lambda: len(notify.box.mails) == 2, "told")
    frozen.process.send_signal(signal.SIGSTOP)
    began = time.monotonic()
    for number in range(1, 9):
        await notify.fire(number)
    await notify.until(lambda: other.said("site in service"), "taken over")
    taken_s = time.monotonic() - began
    await notify.until(lambda: len(notify.box.mails) >= 18, "told by the other")
    frozen.process.send_signal(signal.SIGCONT)
    await notify.until(lambda: frozen.said("site out of service"), "given up")
    await notify.fire(9)
    await notify.until(lambda: len(notify.box.mails) >= 20, "told of what came later")
    await notify.until(lambda: frozen.get("/readyz")[0] == 200, "ready, without a site")
    assert len(notify.box.mails) == 20
    assert len([line for line in frozen.said("delivery") if line["outcome"] == "sent"]) == 2
    assert taken_s < patient(10)
    await notify.end()


async def test_a_frozen_holder_reads_what_another_decided_who_is_gone_by_then(notify):
    """The other took over, told, and died; its lease is nobody's when the first is back: nobody is told again."""
    notify.start("one", "two")
    first = await notify.until(notify.holder, "a holder")
    (second,) = {"one", "two"} - {first}
    frozen, other = notify.replicas[first], notify.replicas[second]
    await notify.until(lambda: frozen.running and other.running, "both up")
    frozen.process.send_signal(signal.SIGSTOP)
    for number in range(4):
        await notify.fire(number)
    await notify.until(lambda: len(other.said("delivery")) == 8, "told by the other")
    notify.replicas.pop(second).process.kill()
    await notify.until(lambda: free(notify), "nobody's")
    frozen.process.send_signal(signal.SIGCONT)
    await notify.until(lambda: len(frozen.said("restored")) >= 2, "read again")
    await notify.fire(9)
    await notify.until(lambda: len(notify.box.mails) >= 10, "told of what came later")
    await notify.end()
    assert len(notify.box.mails) == 10
    assert {len(records) for records in (await notify.sent()).values()} == {1}


async def free(notify) -> bool:
    return await notify.holder() is None


async def test_sites_are_shared_and_handed_over(notify):
    """Four sites, two replicas: two each; one that is drained hands its own over, and every site is told of."""
    names = ["market", "quay", "square", "station"]
    notify.site.write(settings(notify.box.port, *names))
    notify.start("one", "two")

    async def shared(*holders):
        held = [await notify.holder(name) for name in names]
        return sorted(held.count(name) for name in holders) == [4 // len(holders)] * len(holders)

    await notify.until(lambda: shared("one", "two"), "an even share")
    assert await asyncio.to_thread(notify.replicas.pop("two").stop) == 0
    await notify.until(lambda: shared("one"), "handed over")
    for number, name in enumerate([*names, "elsewhere"]):  # the last one is in nobody's settings
        await notify.fire(number, site=name)
    await notify.until(lambda: len(notify.box.mails) == 10, "told of every site")
    await notify.end()


async def test_a_replica_that_comes_takes_its_share_and_nobody_is_told_twice(notify):
    """Four sites at one replica with mails on their way; a second one comes: two each, all told, each mail once."""
    names = ["market", "quay", "square", "station"]
    notify.site.write(settings(notify.box.port, *names))
    notify.spoil(random.Random(1), hang_up=0.0)
    notify.start("one")

    async def shared(*holders):
        held = [await notify.holder(name) for name in names]
        return sorted(held.count(name) for name in holders) == [4 // len(holders)] * len(holders)

    await notify.until(lambda: shared("one"), "all at one")
    notify.start("two")
    number = 0
    while not await shared("one", "two"):
        for name in names:
            await notify.fire(number, site=name)
            number += 1
        await asyncio.sleep(0.1)
    for name in names:
        await notify.fire(number, site=name)
        number += 1
    await notify.until(lambda: len(notify.box.mails) >= 2 * number, "everyone told of everything")
    await notify.end()
    assert len(notify.box.mails) == 2 * number == len(notify.accepted)
    assert {len(records) for records in (await notify.sent()).values()} == {1}


async def test_what_is_on_its_way_is_finished_before_another_takes_the_site(notify):
    """The mail server takes a second for its answer while the holder is told to end: one mail each, not two."""
    notify.start("one", "two")
    first = await notify.until(notify.holder, "a holder")
    await notify.until(lambda: all(replica.running for replica in notify.replicas.values()), "both up")

    async def slow(server, recipient: str) -> None:
        await asyncio.sleep(1)

    notify.box.after_data = slow
    await notify.fire(0)
    await notify.until(lambda: len(notify.box.mails) == 2, "on its way")
    assert await asyncio.to_thread(notify.replicas.pop(first).stop) == 0
    await notify.fire(1)
    await notify.until(lambda: len(notify.box.mails) >= 4, "told by the other")
    await notify.end()
    assert len(notify.box.mails) == 4
    assert {len(records) for records in (await notify.sent()).values()} == {1}
