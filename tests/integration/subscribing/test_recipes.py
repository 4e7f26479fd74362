"""Each recipe of docs/recipes runs as it stands against a real server, and prints what was published."""

import asyncio
import contextlib
import csv
import re
import shutil
from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import msgspec
import pytest
from authority import Authority
from nats_process import NatsProcess
from patience import patient
from playwright.async_api import expect
from recipe_browser import connect, served
from recipe_place import GO, PYTHON, TODAY, alert, environment, forge, name_of, some, store
from recipes import COMPILE_S, COMPILED, FOLDER, Recipe, published, told, utc
from windows import HOUR, MINUTE, window

from operate.identities import Identities, nats_config
from operate.identities.server import Tls
from proto.stats import StatsRequestV1
from proto.subjects import ALERTS, STATS, STREAMS, WINDOWS
from services.bus import Bus, NoWorkers

LATEST = [f"{PYTHON} latest.py", "node latest.mjs", f"{GO} run windows.go"]
LIVE = [f"{PYTHON} windows.py", "node windows.mjs", COMPILED]
_NOT_RUN = {
    "browser.mjs",
    "moretta_reader.py",
    "reader.mjs",
    "rules.mjs",
    "alertmanager.settings.yaml",
    "published_rates.yml",
}
"""Parts of others."""

pytestmark = pytest.mark.usefixtures("needs_recipes")


@pytest.mark.timeout(COMPILE_S + 60)
@pytest.mark.parametrize("command", LATEST, ids=name_of)
async def test_latest(site, run, command):
    """The latest window of each zone of a site, in the order of zones, and of no other site."""
    name = f"latest-{name_of(command)}"
    await store(site, *some(name), *some("elsewhere"))
    recipe = run(f"{command} {name}")
    await asyncio.to_thread(recipe.until, lambda: len(recipe.printed) >= 2, "two lines", COMPILE_S)
    assert [told(one) for one in recipe.printed] == [published(one) for one in reversed(some(name)[2:])]


@pytest.mark.timeout(COMPILE_S + 60)
@pytest.mark.parametrize("command", LIVE, ids=name_of)
async def test_live(site, run, command):
    """Each window as it is published, by Python, JavaScript and Go alike."""
    name = f"live-{name_of(command)}"
    recipe = await asyncio.to_thread(run(f"{command} {name}").listening, COMPILE_S)
    await store(site, *some("elsewhere"), *some(name))
    await asyncio.to_thread(recipe.until, lambda: len(recipe.printed) >= 4, "four lines")
    assert [told(one) for one in recipe.printed] == [published(one) for one in some(name)]


async def test_csv_log(own_site, folder):
    """The one line of README.md appends one heading, and each window once, those of before and of an outage too."""
    (command,) = re.findall(r"^venv/bin/python nothing_missed\.py .*--csv >> windows\.csv$", _readme(), re.MULTILINE)
    site, log, windows = own_site, folder / "windows.csv", [*some("csv"), window(TODAY + 40 * MINUTE, site="csv")]
    await store(site, *windows[:2])
    with Recipe(command, folder, environment(site)) as first:
        await asyncio.to_thread(first.until, lambda: log.exists() and log.read_text().count("\n") >= 3, "two rows")
        await asyncio.to_thread(site.server.stop)
        await asyncio.to_thread(site.server.start)
        await store(site, *windows[2:4])
        await asyncio.to_thread(first.until, lambda: log.read_text().count("\n") >= 5, "four rows")
    await store(site, *windows[4:])
    with Recipe(command, folder, environment(site)) as second:
        await asyncio.to_thread(second.until, lambda: log.read_text().count("\n") >= 6, "five rows")
    with log.open(newline="") as file:
        heading, *rows = list(csv.reader(file))
    assert heading == ["end", "site", "zone", "rate", "persons", "coverage"]
    assert [row[0] for row in rows] == [utc(one.end) for one in windows]
    figures = [(one.site, one.zone, one.rate, one.persons, one.coverage) for one in windows]
    assert [(*row[1:3], *map(_number, row[3:])) for row in rows] == figures


def _readme() -> str:
    return (FOLDER / "README.md").read_text("utf-8")


def _number(text: str) -> float | None:
    return float(text) if text else None


async def test_replay(site, run):
    """What was published since a moment, in order, and nothing from before."""
    await store(site, *some("replay"))
    await asyncio.sleep(1.1)
    since = datetime.now(UTC).isoformat()
    later = [window(TODAY + MINUTE * n, site="replay", zone="bread") for n in range(5)]
    await store(site, *later)
    code, lines, words = await asyncio.to_thread(run(f"{PYTHON} replay.py replay --since {since}").result)
    assert (code, words) == (0, [])
    assert [told(one) for one in lines] == [published(one) for one in later]
    code, lines, _ = await asyncio.to_thread(run(f"{PYTHON} replay.py").result)
    assert code == 0
    assert [told(one) for one in lines if " replay " in one] == [published(one) for one in [*some("replay"), *later]]
    code, lines, _ = await asyncio.to_thread(
        run(f"TZ=Asia/Tokyo {PYTHON} replay.py replay --since {since[:19]}").result
    )
    assert (code, [told(one) for one in lines]) == (0, [published(one) for one in later])


async def test_alerts(site, run):
    """Those of the site that was named alone: what fires already, then what fires and is resolved."""
    name, end = "alerts", TODAY + 20 * MINUTE
    await store(
        site,
        alert(name, zone="fish"),
        alert(name, zone="over"), alert(name, zone="over", state="resolved", end=end + MINUTE),
        alert("elsewhere"),
        row=ALERTS,
    )  # fmt: skip
    recipe = await asyncio.to_thread(run(f"{PYTHON} alerts.py {name}").listening)
    later = alert(name, state="resolved", rate=0.75, end=end + MINUTE)
    await store(site, alert("elsewhere", zone="fish"), alert(name), later, row=ALERTS)
    await asyncio.to_thread(recipe.until, lambda: len(recipe.printed) >= 3, "three lines")
    since = utc(TODAY)
    assert recipe.printed == [
        f"firing {name} fish low since={since} rate=0.4 persons=80",
        f"firing {name} _site low since={since} rate=0.4 persons=80",
        f"resolved {name} _site low since={since} rate=0.75 persons=80",
    ]


async def test_alerts_of_an_outage(own_site, folder):
    """What fired, and what was resolved, while the server was away is said once it is back; and nothing twice."""
    site = own_site
    await store(site, window(TODAY, site="market"))
    await store(site, alert("market", zone="fish"), alert("market", zone="bread"), row=ALERTS)
    with Recipe(f"{PYTHON} alerts.py market", folder, environment(site)) as recipe:
        await asyncio.to_thread(recipe.listening)
        lines = list(recipe.printed)
        assert [one.split()[2] for one in lines] == ["bread", "fish"]
        recipe.pause()
        await asyncio.to_thread(site.server.stop)
        await asyncio.to_thread(site.server.start)
        await store(site, alert("market", zone="fish", state="resolved", end=TODAY + 40 * MINUTE), row=ALERTS)
        recipe.go_on()
        await asyncio.to_thread(recipe.until, lambda: len(recipe.printed) >= 3, "what was resolved")
        assert [one.split()[:3] for one in recipe.printed[2:]] == [["resolved", "market", "fish"]]
        assert sum("waiting for it" in one for one in recipe.words) == 1


async def test_history(site, run, folder):
    """Hours of the site's clock, each the sum of its windows; who asks for nonsense is told what."""
    one = {"id": "history", "timezone": "Africa/Lagos", "profile": "alerting", "zones": [{"id": "fish"}]}
    site.write({"log": {"format": "json"}, "sites": [one]})
    await store(site, *(window(TODAY - 3 * HOUR + n * 20 * MINUTE, site="history") for n in range(6)))
    aggregate = site.start("aggregate")
    try:
        await _answered(site)
        code, lines, _ = await asyncio.to_thread(run(f"{PYTHON} history.py history").result)
        assert code == 0
        sums = [one for one in lines if "persons=33" in one]
        hours = [f"{_lagos(n)}/{_lagos(n - 1)}" for n in (3, 2)]
        assert [one.split()[:4] for one in sums] == [[hour, "history", "_site", "rate=0.8"] for hour in hours]
        (program,) = [one for one in _programs() if "StatsRequestV1" in one]
        (folder / "asked.py").write_text(program.replace('"cannes"', '"history"'))
        code, shown, words = await asyncio.to_thread(run(f"{PYTHON} asked.py").result)
        assert (code, words) == (0, [])
        assert sum(int(one.split()[3]) for one in shown) == 66
        code, lines, words = await asyncio.to_thread(run(f"{PYTHON} history.py history bread").result)
        assert (code, lines, words) == (2, [], ["unknown-zone: zone bread"])
    finally:
        assert await asyncio.to_thread(aggregate.stop) == 0


def _lagos(hours: int) -> str:
    """So many hours before TODAY, as the site's clock has it."""
    return datetime.fromtimestamp(TODAY // 10**9 - hours * 3600, ZoneInfo("Africa/Lagos")).isoformat()


async def _answered(site):
    async with site.bus("operator") as bus, asyncio.timeout(patient(30)):
        while True:
            with contextlib.suppress(NoWorkers, TimeoutError):
                return await bus.request(STATS, StatsRequestV1(site="history"), timeout=2)
            await asyncio.sleep(0.1)


async def test_nothing_missed(own_site, folder):
    """Windows published while it was away, and while the server was, come once each and in order."""
    site, seen = own_site, []
    windows = [window(TODAY + n * 20 * MINUTE, masked=n + 1) for n in range(6)]

    async def shown(recipe: Recipe, count: int) -> None:
        await asyncio.to_thread(recipe.until, lambda: len(seen + recipe.printed) >= count, f"{count} windows")
        assert [told(one) for one in seen + recipe.printed] == [published(one) for one in windows[:count]]

    with Recipe(f"{PYTHON} nothing_missed.py", folder, environment(site)) as first:
        await store(site, *windows[:2])
        await shown(first, 2)
    seen += first.printed
    await store(site, *windows[2:4])
    with Recipe(f"{PYTHON} nothing_missed.py", folder, environment(site)) as second:
        await shown(second, 4)
        await asyncio.to_thread(site.server.stop)
        await asyncio.to_thread(site.server.start)
        await store(site, *windows[4:])
        await shown(second, 6)


async def test_nothing_missed_of_one_site(own_site, folder):
    """Of the site that was named alone, in a position of its own, which is taken for no other site's."""
    site, command = own_site, f"{PYTHON} nothing_missed.py"
    await store(site, window(TODAY, site="here"), window(TODAY, site="there"), window(TODAY + HOUR, site="here"))
    with Recipe(f"{command} here", folder, environment(site)) as recipe:
        await asyncio.to_thread(recipe.until, lambda: len(recipe.printed) >= 2, "two windows")
        assert [told(one)[:2] for one in recipe.printed] == [
            ((TODAY + 20 * MINUTE) // 10**9, "here"), ((TODAY + 80 * MINUTE) // 10**9, "here")
        ]  # fmt: skip
    with Recipe(f"{command} there --position here.position", folder, environment(site)) as other:
        assert await asyncio.to_thread(other.result) == (
            2, [], ["here.position is how far it came with site here; with site there name another --position"]
        )  # fmt: skip


async def test_nothing_twice_after_a_restore(own_site, folder):
    """Where the streams were made anew and filled from a backup, what was printed before is not printed again."""
    site, windows = own_site, [window(TODAY + n * 20 * MINUTE, masked=n + 1) for n in range(4)]
    fish = window(TODAY, zone="fish")
    await store(site, *windows[:3])
    with Recipe(f"{PYTHON} nothing_missed.py", folder, environment(site)) as recipe:
        await asyncio.to_thread(recipe.until, lambda: len(recipe.printed) >= 3, "three windows")
        await asyncio.to_thread(site.server.stop)
        shutil.rmtree(site.folder / "js")
        await asyncio.to_thread(site.server.start)
        await store(site, fish, *windows)
        await asyncio.to_thread(recipe.until, lambda: len(recipe.printed) >= 5, "five windows")
    assert [told(one) for one in recipe.printed] == [published(one) for one in [*windows[:3], fish, windows[3]]]
    assert any("another one" in one for one in recipe.words)


def restart(site, **changes) -> None:
    """The server with other settings."""
    site.server.stop()
    vars(site).update(changes)
    site.server.start()


async def test_browser(own_site, folder, tmp_path):
    """Waits for the first window, shows new ones, those of an outage too, and says when its key was withdrawn."""
    site = own_site
    async with served(folder, tmp_path / "profile") as (page, origin):
        await asyncio.to_thread(restart, site, origins=[origin])
        status, rows = page.get_by_role("status"), page.locator("tbody tr")
        await connect(page, f"ws://127.0.0.1:{site.door}", (site.identities.folder / "subscriber.nk").read_text())
        await expect(status).to_have_text("connected, waiting for the first window: it comes when it has ended")
        await store(site, *some("browser"))
        await expect(status).to_have_text("connected")
        await expect(rows).to_have_count(2)
        whole, fish = (rows.filter(has_text=zone).locator("td") for zone in ("_site", "fish"))
        await expect(fish.nth(3)).to_have_text("-")
        foreign = msgspec.json.encode(window(TODAY + 50 * MINUTE, site="elsewhere", masked=1))
        await forge(site, "moretta.v1.windows.browser._site", b"", b"{", foreign)
        await store(site, window(TODAY + 40 * MINUTE, site="browser", masked=8))
        await expect(whole).to_have_text([re.compile(r".*Z"), "browser", "_site", "0.8", "11", "1"])
        await asyncio.to_thread(site.server.stop)
        await expect(status).to_have_text("connection lost, tries again")
        await asyncio.to_thread(site.server.start)
        await store(site, window(TODAY + 60 * MINUTE, site="browser", masked=6))
        await expect(whole.nth(3)).to_have_text("0.75")
        await expect(status).to_have_text("connected")
        await asyncio.to_thread(restart, site, identities=Identities.make(tmp_path / "new"))
        await expect(status).to_contain_text("wrong key", timeout=20_000)
        await expect(page.get_by_role("button")).to_be_visible()


async def test_browser_that_does_not_come_in(own_site, folder, tmp_path):
    """Nobody there, a page that may not come, a seed that is none and one of yesterday: each in words of its own."""
    site = own_site
    good = (site.identities.folder / "subscriber.nk").read_text()
    old = (Identities.make(tmp_path / "old").folder / "subscriber.nk").read_text()
    async with served(folder, tmp_path / "profile") as (page, origin):
        status = page.get_by_role("status")
        await expect(status).to_have_text("not connected")
        await asyncio.to_thread(restart, site, origins=["http://127.0.0.1:1"])
        url = f"ws://127.0.0.1:{site.door}"
        cases = [
            ("http://x", good, "is no address such as ws://"),
            ("ws://127.0.0.1:1", good, "nobody listens at ws://127.0.0.1:1"),
            (url, good, f"{url} refuses pages of {origin}; let them in with --origin {origin}"),
            (url, "nobody", "this is no seed"),
        ]
        for address, seed, said in cases:
            await connect(page, address, seed)
            await expect(status).to_contain_text(said)
        await asyncio.to_thread(restart, site, origins=[origin])
        await connect(page, url, old)
        await expect(status).to_contain_text("wrong key: NATS refuses this seed")


@pytest.mark.timeout(COMPILE_S + 60)
async def test_tls(tmp_path, folder):
    """Where nobody comes in without a certificate, by the same variables in each language."""
    people, authority = Identities.make(tmp_path / "identities"), Authority()
    server = NatsProcess(tmp_path, whole=lambda port, store: nats_config(port, store, people.public)).start()
    try:
        bus = await Bus.connect(people.settings("aggregate", server.url), "aggregate")
        await bus.ensure_streams(stream.name for stream in STREAMS)
        await bus.store(WINDOWS, window(TODAY))
        await bus.close()
        server.stop()
        files = _certificates(tmp_path, authority)
        tls = Tls(files["NATS_CERT"], files["NATS_KEY"], files["NATS_CA"])
        server.whole = lambda port, store: nats_config(port, store, people.public, tls=tls)
        server.start()
        env = files | {"NATS_URL": f"tls://localhost:{server.port}", "NATS_NKEY": str(people.folder / "subscriber.nk")}
        for command in (*LATEST[:2], COMPILED):
            with Recipe(command, folder, env) as recipe:
                await asyncio.to_thread(recipe.until, lambda one=recipe: bool(one.printed), command, COMPILE_S)
            assert [told(one) for one in recipe.printed] == [published(window(TODAY))]
    finally:
        server.stop()


def _certificates(folder: Path, authority: Authority) -> dict[str, str]:
    pem, ca = authority.issue("localhost", "127.0.0.1"), folder / "ca.pem"
    ca.write_bytes(authority.pem)
    both = folder / "both.pem"
    both.write_bytes(pem)
    return {"NATS_CA": str(ca), "NATS_CERT": str(both), "NATS_KEY": str(both)}


def _programs() -> list[str]:
    """The whole programs in Python that docs/subscribing.md shows."""
    text = FOLDER.with_name("subscribing.md").read_text("utf-8")
    return [one for one in re.findall(r"```python\n(.*?)```", text, re.DOTALL) if "asyncio.run" in one]


async def test_the_first_program(site, run, folder):
    """What docs/subscribing.md shows for readers in other languages runs as it stands."""
    (program,) = [one for one in _programs() if "subscribe(" in one]
    (folder / "first.py").write_text(program)
    recipe = await asyncio.to_thread(run(f"{PYTHON} first.py").listening)
    await store(site, window(TODAY, site="first"))
    await asyncio.to_thread(recipe.until, lambda: len(recipe.printed) >= 1, "a line")
    assert recipe.printed == [f"{utc(TODAY + 20 * MINUTE)} first _site 0.8 11"]


def test_every_recipe_is_told_of():
    """README.md and docs/subscribing.md name each program, whose first lines say how it is run."""
    files = {path.name for path in FOLDER.iterdir() if path.suffix in {".py", ".mjs", ".go", ".html", ".yml", ".yaml"}}
    assert {name for name in files if f"]({name})" in _readme()} == files
    subscribing = FOLDER.with_name("subscribing.md").read_text("utf-8")
    parts = {"browser.mjs", "moretta_reader.py", "reader.mjs", "rules.mjs"}
    assert {name for name in files if f"](recipes/{name})" in subscribing} >= files - parts
    for name in files:
        head = (FOLDER / name).read_text("utf-8").splitlines()[:6]
        assert name in _NOT_RUN or any("Run" in one for one in head), name
