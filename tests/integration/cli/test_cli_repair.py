"""`moretta repair` on a real server: a site that publishes nothing because windows of the future are published."""

import asyncio
import time

import pytest
from command_line import moretta
from messages import alert, fault, window
from patience import until
from site_process import Site

from operate.backup.repair import Repair
from operate.identities import settings_file
from proto.public import RuleStateV1
from proto.subjects import ALERTS, OPERATIONS, RULES, WINDOWS
from services.aggregate import published
from services.aggregate.core.restart.resume import last_ahead

SECOND = 1_000_000_000
WINDOW_S = 5
DAY = 86_400 * SECOND


@pytest.fixture(name="site")
def _site(tmp_path):
    site = Site(tmp_path)
    site.server.start()
    site.server.make()
    quay = {"id": "quay", "profile": "lab", "window_s": WINDOW_S, "lateness_s": 1.0,
            "cameras": [{"id": "gate", "url": "rtsp://127.0.0.1/"}]}  # fmt: skip
    site.write({"sites": [quay], "log": {"format": "json"}})
    try:
        yield site
    finally:
        site.close()


async def test_a_site_goes_on_after_windows_of_the_future_were_removed(site):
    """It says what to run; --plan changes nothing; then it goes on by itself, and what was over stays published."""
    start = time.time_ns() // (WINDOW_S * SECOND) * WINDOW_S * SECOND
    over, ahead = (
        window(at, site="quay", zone="_site", end=at + WINDOW_S * SECOND)
        for at in (start - 20 * WINDOW_S * SECOND, start + DAY)
    )
    file = site.identities.folder / "backup.yaml"
    file.write_text(settings_file(site.server.url, "backup"), encoding="utf-8")

    async def run(*options: str) -> str:
        done = await asyncio.to_thread(moretta, "repair", "quay", "-c", file, *options)
        assert done.returncode == 0, done.stderr
        return done.stdout

    async with site.bus("aggregate") as bus:
        for one in (over, ahead):
            await bus.store(WINDOWS, one)
        service = site.start("aggregate")
        await until(lambda: service.said("nothing is published"), service.last_words)
        assert "moretta repair quay" in service.said("nothing is published")[0]["why"]
        assert "something of the future is published" in (await asyncio.to_thread(service.get, "/readyz"))[1]
        assert "WINDOWS: 1, from 20" in await run("--plan")
        assert "if it is not, set the clocks right and remove nothing" in await run("--plan")
        assert "if the site has close_on_end, its windows may rightly lie there" in await run("--plan")
        assert len(await bus.history(WINDOWS, site="quay")) == 2
        assert "removed: 1 messages" in await run("--yes")

        async def goes_on():
            return len(await bus.history(WINDOWS, site="quay")) > 2

        await until(goes_on, service.last_words, 60)
        assert (await bus.history(WINDOWS, site="quay"))[0].message == over
        assert "nothing of site quay lies in the future" in await run("--yes")


async def test_wherever_it_breaks_off_the_rest_is_seen(site):
    """One message, then Ctrl-C, until all are gone: aggregate publishes nothing, and the next run finds the rest."""
    start, ends = time.time_ns() // SECOND * SECOND, [WINDOW_S * SECOND * (number + 1) for number in range(3)]
    rows = [(WINDOWS, window(start - DAY, site="quay", zone="_site", end=start - DAY + ends[0]))]
    for end in (start + DAY + end for end in ends):
        begin = end - WINDOW_S * SECOND
        state = RuleStateV1(
            site="quay", zone="_site", rule="low", profile="alerting", state="firing", before="pending",
            reason="held-long-enough", row=1, start=begin, end=end,
        )  # fmt: skip
        rows += [(WINDOWS, window(begin, site="quay", zone=zone, end=end)) for zone in ("_site", "hall")]
        rows += [(ALERTS, alert(site="quay", start=begin, end=end)), (RULES, state)]
        rows += [(OPERATIONS, fault(site="quay", at=end))]
    async with site.bus("aggregate") as bus:
        for row, message in rows:
            await bus.store(row, message)
        repair = Repair(site.identities.settings("backup", site.server.url), site.file, "quay")

        def broken(done: float, _total: float | None = None) -> None:
            raise KeyboardInterrupt

        for left in range(len(rows) - 1, 0, -1):
            told = []
            found = await repair.find(lambda done, total, told=told: told.append((done, total)))
            assert (len(found), told[-1]) == (left, (left + 1, left + 1))
            kept = await published.read(bus, "quay", [])
            assert last_ahead(kept.windows, [], start), "windows are there to the end"
            assert last_ahead(kept.messages, [], start)
            with pytest.raises(KeyboardInterrupt):
                await repair.remove(found, broken)
        assert await repair.find(lambda done, total: None) == []
        assert last_ahead((await published.read(bus, "quay", [])).messages, [], start) == 0
        assert [stored.message for stored in await bus.history(WINDOWS, site="quay")] == [rows[0][1]]
