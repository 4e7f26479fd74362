"""Ten thousand alerts at once: few messages, every alert accounted for, memory bounded."""

import asyncio

import pytest
from site_process import Site

from proto.subjects import ALERTS, DEAD, DELIVERIES, NOTIFICATIONS

COUNT, CAP = 10_000, 5
WHO = ("anna@example.org", "bob@example.org")


@pytest.mark.timeout(300)
async def test_a_storm_of_ten_thousand_alerts(tmp_path, serve_mail, make_alert, eventually):
    """At most the capped number of mails; each alert is told to both, or said to be withheld; memory is bounded."""
    box, site = await serve_mail(), Site(tmp_path)
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
        async with site.bus("aggregate") as aggregate, site.bus("notify") as bus, site.bus("operator") as operator:
            await bus.ensure_streams(["ALERTS", "OPERATIONS", "DELIVERIES", "DEAD", "KV_SILENCES", "CONTROL"])
            service = site.start("notify")
            await eventually(lambda: true(service.running and service.get("/readyz")[0] == 200), bool)
            idle = service.metric("process_resident_memory_bytes")
            for first in range(0, COUNT, 200):
                alerts = [
                    make_alert(site="market", zone="hall", rule=f"r{n}", alert=f"{n:016x}")
                    for n in range(first, first + 200)
                ]
                await asyncio.gather(*(aggregate.store(ALERTS, alert) for alert in alerts))

            async def account() -> tuple[set[str], set[str], set[str]]:
                """The alerts told, those withheld, those told to only some."""
                decisions = [s.message for s in await bus.history(NOTIFICATIONS)]
                withheld = {alert for d in decisions if d.withheld == "capped" for alert in d.firing}
                told: dict[str, set[str]] = {}
                for s in await bus.history(DELIVERIES):
                    if s.message.outcome == "sent":
                        told.setdefault(s.message.alert, set()).add(s.message.recipient_sha256)
                return set(told), withheld, {alert for alert, whom in told.items() if len(whom) < len(WHO)}

            told, _, some = await eventually(account, lambda f: len(f[0] | f[1]) == COUNT and not f[2], 120.0)
            assert some == set()
            assert told
            decided = [s.message for s in await bus.history(NOTIFICATIONS) if s.message.reason]
            assert len(decided) <= CAP
            assert sorted(recipient for recipient, _ in box.mails) == sorted([*WHO] * len(decided))
            grown = service.metric("process_resident_memory_bytes") - idle
            print(f"{len(decided)} notifications, {len(told)} alerts told, {grown / 1e6:.0f} MB more")
            assert grown < 150e6, f"{grown / 1e6:.0f} MB for {COUNT} alerts that fire"
            assert await operator.history(DEAD) == []
            assert await asyncio.to_thread(service.stop) == 0
    finally:
        site.close()


async def true(value):
    return value
