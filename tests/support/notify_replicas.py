"""Replicas of notify that are killed and frozen, on a real server, and a mail server with faults."""

import asyncio
import contextlib
import functools
import random
import secrets
import signal
import time
from collections import defaultdict
from itertools import pairwise

import nats.errors
from patience import until
from site_process import Site

from proto.public import DeliveryV1
from proto.subjects import ALERTS, DELIVERIES, NOTIFY_LEASES
from services.notify.recipient import digest

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
        self.drops: set[tuple[str, str, int]] = set()
        """Acceptances after which the server hung up: recipient, Message-ID, and which one of that mail it was."""
        self._sent: dict[tuple[str, str, str], list] = defaultdict(list)
        self.struck = {"kills": 0, "freezes": 0}
        self._next = 1

    def start(self, *names: str) -> None:
        for name in names:
            self.replicas[name] = self.site.start("notify", MORETTA_NOTIFY__REPLICA=name)

    async def fire(self, number: int, state: str = "firing", site: str = "market") -> None:
        alert = self.make_alert(site=site, rule=f"r{number}", alert=f"{number:016x}", state=state, zone="hall")
        stored = functools.partial(self.aggregate.store, ALERTS, alert, message_id=secrets.token_hex(8))
        await until(stored, "an alert is stored", LIMIT_S, ignoring=(nats.errors.Error,))  # JetStream may be busy

    async def feed(self, rng: random.Random, seconds: float = FEED_S, strikes: int = 0) -> tuple[set[int], set[int]]:
        """Fire alerts for some seconds, and until so many strikes; returns all of them, and those that ended."""
        fired, over, end = set(), set(), time.monotonic() + seconds
        ends: list[tuple[float, int]] = []
        while time.monotonic() < end or sum(self.struck.values()) < strikes:
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
            mail = recipient, message["Message-ID"]
            self.accepted[mail].append(time.time_ns())
            if rng.random() < hang_up:
                self.drops.add((*mail, len(self.accepted[mail]) - 1))
                server.transport.abort()

        self.box.after_data = after_data

    async def disturb(self, rng: random.Random, name: str) -> None:
        """Kill or freeze a replica at random moments, until it is cancelled; `struck` counts both."""
        with contextlib.suppress(asyncio.CancelledError):
            while True:
                await asyncio.sleep(rng.uniform(0.3, 3.5))
                process = self.replicas[name].process
                if rng.random() < 0.6:
                    self.struck["kills"] += 1
                    process.kill()
                    process.wait()  # nothing is to be awaited before it is seen to be dead: it may be started below
                    await asyncio.sleep(rng.choice([0, 0, 1]))
                    self.start(name)
                    continue
                self.struck["freezes"] += 1
                process.send_signal(signal.SIGSTOP)
                try:
                    await asyncio.sleep(rng.choice([0.1, 1, 5]))
                finally:
                    process.send_signal(signal.SIGCONT)

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

    async def all_told(self, fired: set[int], over: set[int]) -> bool:
        """Whether everybody was told of every alert that still fires, and of the end of those told of that are over."""
        sent = await self.sent()
        return all((f"{n:016x}", "firing", who) in sent for n in fired - over for who in HASHES) and all(
            (alert, "resolved", who) in sent
            for alert, state, who in sent
            if state == "firing" and int(alert, 16) in over
        )

    def again(self) -> list[tuple[float, float]]:
        """When a mail was taken and taken again (s, UTC), for each copy that no hang-up explains."""
        return [
            (first / 1e9, second / 1e9)
            for mail, times in self.accepted.items()
            for number, (first, second) in enumerate(pairwise(times))
            if (*mail, number) not in self.drops
        ]
