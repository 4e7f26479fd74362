"""Thousands of alerts at once: few messages, every alert accounted for, memory bounded; also when it is killed."""

import asyncio
import signal
from collections import Counter

import pytest
from patience import until
from site_process import Site

from proto.subjects import ALERTS, DEAD, DELIVERIES, NOTIFICATIONS

CAP = 5
HOUR = 3_600 * 10**9
WHO = ("anna@example.org", "bob@example.org")


class Storm:
    """A site with its service, a mail server that takes everything, and alerts by the thousand."""

    def __init__(self, site: Site, bus, aggregate, box, make_alert) -> None:
        self.site, self.bus, self.aggregate, self.box, self.make_alert = site, bus, aggregate, box, make_alert
        self._told: dict[str, set[str]] = {}
        self._next = 1

    async def start(self):
        """Start the service; returns it once it is ready."""
        service = self.site.start("notify")
        await until(lambda: service.running and service.get("/readyz")[0] == 200, "ready", 90.0)
        return service

    async def break_out(self, count: int) -> None:
        """Store so many alerts of one zone, as fast as may be."""
        for first in range(0, count, 200):
            alerts = [
                self.make_alert(site="market", zone="hall", rule=f"r{n}", alert=f"{n:016x}")
                for n in range(first, min(first + 200, count))
            ]
            await asyncio.gather(*(self.aggregate.store(ALERTS, alert) for alert in alerts))

    async def account(self) -> tuple[set[str], set[str], set[str]]:
        """Return the alerts told, those withheld, those told to only some."""
        decisions = [s.message for s in await self.bus.history(NOTIFICATIONS)]
        withheld = {alert for d in decisions if d.withheld == "capped" for alert in d.firing}
        for s in await self.bus.history_from(self._next, DELIVERIES):  # what came since the last look: it is much
            self._next = s.sequence + 1
            if s.message.outcome == "sent":
                self._told.setdefault(s.message.alert, set()).add(s.message.recipient_sha256)
        some = {alert for alert, whom in self._told.items() if len(whom) < len(WHO)}
        return set(self._told), withheld, some

    async def decided(self) -> list:
        """Return the decisions to tell, of which there are at most so many an hour of the clock."""
        found = [s.message for s in await self.bus.history(NOTIFICATIONS) if s.message.reason]
        assert max(Counter(one.at // HOUR for one in found).values(), default=0) <= CAP
        return found


@pytest.fixture(name="storm")
async def _storm(tmp_path, serve_mail, make_alert):
    box, site = await serve_mail(), Site(tmp_path, cold=True)  # its memory is looked at
    site.write(
        {
            "log": {"format": "json"},
            "sites": [{"id": "market"}],
            "notify": {
                "smtp": {"port": box.port, "security": "none", "sender": "alerts@example.org"},
                "receivers": [{"id": "field-staff", "email": list(WHO), "max_per_hour": CAP}],
                "routes": [{"receiver": "field-staff", "group_wait_s": 1, "group_interval_s": 1}],
                "salt": "0123456789abcdef",
            },
        }
    )
    site.server.start()
    try:
        async with site.bus("aggregate") as aggregate, site.bus("notify") as bus:
            await aggregate.ensure_streams(["ALERTS", "OPERATIONS", "DELIVERIES", "DEAD", "KV_SILENCES", "AUDIT"])
            yield Storm(site, bus, aggregate, box, make_alert)
    finally:
        site.close()


@pytest.mark.alone
@pytest.mark.timeout(300)
@pytest.mark.parametrize("count", [2_000, pytest.param(10_000, marks=pytest.mark.long)])
async def test_a_storm_of_thousands_of_alerts(storm, eventually, count: int):
    """At most the capped number of mails; each alert is told to both, or said to be withheld; memory is bounded."""
    service = await storm.start()
    idle = service.metric("process_resident_memory_bytes")
    await storm.break_out(count)
    told, _, _ = await eventually(storm.account, lambda f: len(f[0] | f[1]) == count and not f[2], 120.0)
    assert told
    decided = await storm.decided()
    assert sorted(recipient for recipient, _ in storm.box.mails) == sorted([*WHO] * len(decided))
    grown = service.metric("process_resident_memory_bytes") - idle
    print(f"{len(decided)} notifications, {len(told)} alerts told, {grown / 1e6:.0f} MB more")
    assert grown < 50e6 + count * 10e3, f"{grown / 1e6:.0f} MB for {count} alerts that fire"
    async with storm.site.bus("operator") as operator:
        assert await operator.history(DEAD) == []
    assert await asyncio.to_thread(service.stop) == 0


@pytest.mark.timeout(300)
async def test_killed_in_the_midst_of_its_records_a_storm_is_accounted_for(storm, eventually):
    """SIGKILL while a mail's hundreds of records are stored: the rest is recorded by the next one, and no mail more."""
    count, struck = 1_500, asyncio.Event()
    await storm.break_out(count)  # all of it before the first mail, which has so many records

    async def strike(*_: object) -> None:
        if not struck.is_set():
            service.signal(signal.SIGKILL)
            struck.set()

    await storm.bus.serve(DELIVERIES, strike)
    service = storm.site.start("notify")
    await until(struck.is_set, "a first record", 90.0)
    assert await asyncio.to_thread(service.ended) == -signal.SIGKILL
    told, withheld, some = await storm.account()
    assert some or len(told | withheld) < count, f"killed too late, with {len(told)} alerts told"
    mails = len(storm.box.mails)
    service = await storm.start()
    await eventually(storm.account, lambda f: len(f[0] | f[1]) == count and not f[2], 120.0)
    decided = await storm.decided()
    ids = [(recipient, message["Message-ID"]) for recipient, message in storm.box.mails]
    assert len(set(ids)) == len(WHO) * len(decided)
    again = len(ids) - len(set(ids))
    print(f"{mails} mails before the kill, {again} again after it")
    assert again <= len(WHO)
    found = [s.message for s in await storm.bus.history(DELIVERIES)]
    names = [(one.notification, one.alert, one.state, one.recipient_sha256) for one in found]
    assert len(set(names)) == len(names), "a record was stored twice"
    assert await asyncio.to_thread(service.stop) == 0
