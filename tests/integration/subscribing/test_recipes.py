"""Each recipe of docs/recipes runs as it stands against a real server, and prints what was published."""

import asyncio
import contextlib
import csv
import json
import re
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest
import recipes
from authority import Authority
from browser import chromium
from browser import require as require_browser
from msgspec import structs
from nats_process import NatsProcess
from playwright.async_api import expect
from recipes import FOLDER, Recipe, published, told
from site_process import Site
from windows import HOUR, MINUTE, hidden, window

from proto.public import AlertV1
from proto.stats import StatsRequestV1
from proto.subjects import ALERTS, STATS, STREAMS, WINDOWS
from services.bus import Bus, NoWorkers
from services.identities import Identities, nats_config
from services.identities.server import Tls

PYTHON, GO = "venv/bin/python -W error", "GO111MODULE=off GOPATH=/usr/share/gocode go run"
COMPILE_S = 300
"""Go's first program compiles its standard library."""
LATEST = [f"{PYTHON} latest.py", "node latest.mjs", f"{GO} windows.go"]
LIVE = [f"{PYTHON} windows.py", "node windows.mjs", f"{GO} windows.go"]
_WEBSOCKET = re.compile(r"Listening for websocket clients on ws://127\.0\.0\.1:(\d+)")
_CSV_TIME = "%Y-%m-%dT%H:%M:%SZ"
_NOT_RUN = {"browser.mjs", "alertmanager.settings.yaml", "published_rates.yml"}
"""Parts of others."""
_TODAY = time.time_ns() // HOUR * HOUR


@pytest.fixture(autouse=True, scope="module")
def _needs_recipes() -> None:
    recipes.require()


class Place(Site):
    """A server with identities, streams and a door for browsers, whose port stays."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder, extend=self._with_door)
        self.server.make()
        self.server.start()

    @property
    def door(self) -> int:
        return int((_WEBSOCKET.findall("".join(self.server.output)) or [-1])[0])

    def _with_door(self, text: str) -> str:
        port = self.door
        return json.dumps(json.loads(text) | {"websocket": {"listen": f"127.0.0.1:{port}", "no_tls": True}})


@pytest.fixture(name="site", scope="module")
def _site(tmp_path_factory):
    with contextlib.closing(Place(tmp_path_factory.mktemp("site"))) as made:
        yield made


@pytest.fixture(name="own_site")
def _own_site(tmp_path):
    """One whose server the test may restart."""
    with contextlib.closing(Place(tmp_path)) as made:
        yield made


@pytest.fixture(name="folder")
def _folder(tmp_path):
    return recipes.copied(tmp_path)


@pytest.fixture(name="run")
def _run(site, folder):
    """Starts a recipe as subscriber; what still runs at the end is ended."""
    started = []

    def start(command: str) -> Recipe:
        started.append(Recipe(command, folder, _environment(site.server, site.identities)))
        return started[-1]

    yield start
    for one in started:
        one.stop()


def _environment(server: NatsProcess, people: Identities) -> dict[str, str]:
    return {"NATS_URL": server.url, "NATS_NKEY": str(people.folder / "subscriber.nk")}


async def store(site, *messages, row=WINDOWS):
    async with site.bus("aggregate") as bus:
        for one in messages:
            await bus.store(row, one)


def some(name: str):
    """Windows of two zones of a site, one not shown."""
    return [
        window(_TODAY, site=name), window(_TODAY, site=name, zone="fish", masked=3),
        hidden(_TODAY + 20 * MINUTE, site=name, zone="fish"), window(_TODAY + 20 * MINUTE, site=name, masked=5),
    ]  # fmt: skip


def name_of(command: str) -> str:
    return re.sub(r"\W", "-", command.rsplit(maxsplit=1)[-1])


@pytest.mark.timeout(COMPILE_S + 60)
@pytest.mark.parametrize("command", LATEST, ids=name_of)
async def test_latest(site, run, command):
    """The latest window of each zone of a site, in the order of zones, and of no other site."""
    name = f"latest-{name_of(command)}"
    await store(site, *some(name), *some("elsewhere"))
    recipe = run(f"{command} {name}")
    await asyncio.to_thread(recipe.wait, lambda: len(recipe.lines) >= 2, "two lines", COMPILE_S)
    assert [told(one) for one in recipe.lines] == [published(one) for one in reversed(some(name)[2:])]


@pytest.mark.timeout(COMPILE_S + 60)
@pytest.mark.parametrize("command", LIVE, ids=name_of)
async def test_live(site, run, command):
    """Each window as it is published, by Python, JavaScript and Go alike."""
    name = f"live-{name_of(command)}"
    recipe = await asyncio.to_thread(run(f"{command} {name}").listening, COMPILE_S)
    await store(site, *some("elsewhere"), *some(name))
    await asyncio.to_thread(recipe.wait, lambda: len(recipe.lines) >= 4, "four lines")
    assert [told(one) for one in recipe.lines] == [published(one) for one in some(name)]


async def test_csv_log(site, run, folder):
    """The one line of README.md appends rows that a CSV reader reads, empty where nothing is published."""
    (command,) = re.findall(r"^venv/bin/python windows\.py --json .*>> windows\.csv$", _readme(), re.MULTILINE)
    await asyncio.to_thread(run(command).listening)
    windows, log = some("csv"), folder / "windows.csv"
    await store(site, *windows)
    end = time.monotonic() + 30
    while log.read_text().count("\n") < len(windows) and time.monotonic() < end:
        await asyncio.sleep(0.05)
    with log.open(newline="") as file:
        rows = list(csv.reader(file))
    assert [row[0] for row in rows] == [
        datetime.fromtimestamp(one.end // 10**9, UTC).strftime(_CSV_TIME) for one in windows
    ]
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
    later = [window(_TODAY + MINUTE * n, site="replay", zone="bread") for n in range(5)]
    await store(site, *later)
    code, lines, words = await asyncio.to_thread(run(f"{PYTHON} replay.py {since} replay").result)
    assert (code, words) == (0, [])
    assert [told(one) for one in lines] == [published(one) for one in later]
    code, lines, _ = await asyncio.to_thread(run(f"{PYTHON} replay.py").result)
    assert code == 0
    assert [told(one) for one in lines if " replay " in one] == [published(one) for one in [*some("replay"), *later]]


async def test_alerts(site, run):
    """Those of the site that was named alone."""
    recipe = await asyncio.to_thread(run(f"{PYTHON} alerts.py alerts").listening)
    alert = AlertV1(
        site="alerts", zone="_site", rule="low", profile="alerting", alert="0123456789abcdef", state="firing",
        severity="warning", since=_TODAY, start=_TODAY, end=_TODAY + 20 * MINUTE, rate=0.4, interval=(0.3, 0.5),
        persons=80, coverage=1.0, fire_below=0.5, clear_above=0.6,
    )  # fmt: skip
    resolved = {"state": "resolved", "rate": 0.75}
    await store(site, structs.replace(alert, site="elsewhere"), alert, structs.replace(alert, **resolved), row=ALERTS)
    await asyncio.to_thread(recipe.wait, lambda: len(recipe.lines) >= 2, "two lines")
    since = datetime.fromtimestamp(_TODAY // 10**9, UTC).isoformat()
    assert recipe.lines == [
        f"firing alerts _site low since={since} rate=0.4 persons=80",
        f"resolved alerts _site low since={since} rate=0.75 persons=80",
    ]


async def test_history(site, run):
    """Hours of the site's clock, each the sum of its windows; who asks for nonsense is told what."""
    one = {"id": "history", "timezone": "Africa/Lagos", "profile": "alerting", "zones": [{"id": "fish"}]}
    site.write({"log": {"format": "json"}, "sites": [one]})
    await store(site, *(window(_TODAY - 3 * HOUR + n * 20 * MINUTE, site="history") for n in range(6)))
    aggregate = site.start("aggregate")
    try:
        await _answered(site)
        code, lines, _ = await asyncio.to_thread(run(f"{PYTHON} history.py history").result)
        assert code == 0
        sums = [told(line) for line in lines if told(line)[5] is not None]
        hours = [(_TODAY - n * HOUR) // 10**9 for n in (3, 2)]
        assert [one[:4] for one in sums] == [(hour, "history", "_site", 0.8) for hour in hours]
        assert [one[5] for one in sums] == [33, 33]
        assert "+01:00 history" in lines[0]
        code, lines, words = await asyncio.to_thread(run(f"{PYTHON} history.py history bread").result)
        assert (code, lines, words) == (1, [], ["unknown-zone: zone bread"])
    finally:
        assert await asyncio.to_thread(aggregate.stop) == 0


async def _answered(site):
    async with site.bus("operator") as bus, asyncio.timeout(30):
        while True:
            with contextlib.suppress(NoWorkers, TimeoutError):
                return await bus.request(STATS, StatsRequestV1(site="history"), timeout=2)
            await asyncio.sleep(0.1)


async def test_nothing_missed(own_site, folder):
    """Windows published while it was away, and while the server was, come once each and in order."""
    site, seen = own_site, []
    windows = [window(_TODAY + n * 20 * MINUTE, masked=n + 1) for n in range(6)]

    async def shown(recipe: Recipe, count: int) -> None:
        await asyncio.to_thread(recipe.wait, lambda: len(seen + recipe.lines) >= count, f"{count} windows")
        assert [told(one) for one in seen + recipe.lines] == [published(one) for one in windows[:count]]

    environment = _environment(site.server, site.identities)
    with Recipe(f"{PYTHON} nothing_missed.py", folder, environment) as first:
        await store(site, *windows[:2])
        await shown(first, 2)
    seen += first.lines
    await store(site, *windows[2:4])
    with Recipe(f"{PYTHON} nothing_missed.py", folder, environment) as second:
        await shown(second, 4)
        await asyncio.to_thread(site.server.stop)
        await asyncio.to_thread(site.server.start)
        await store(site, *windows[4:])
        await shown(second, 6)


async def test_browser(own_site, folder, tmp_path):
    """The latest windows, then new ones, by WebSocket, those of an outage too; a seed that is none is said."""
    require_browser()
    site = own_site
    code, _, words = await asyncio.to_thread(Recipe("npm run bundle", folder, {}).result)
    assert code == 0, words
    await store(site, *some("browser"))
    serve = Recipe("venv/bin/python -u -m http.server --bind 127.0.0.1 0", folder, {})
    async with contextlib.AsyncExitStack() as stack:
        server = stack.enter_context(serve)
        await asyncio.to_thread(server.wait, lambda: bool(server.lines), "a web server")
        port = re.findall(r"port (\d+)", server.lines[0])[0]
        context = await stack.enter_async_context(chromium(tmp_path / "profile"))
        page = await context.new_page()
        await page.goto(f"http://127.0.0.1:{port}/browser.html")
        status, rows = page.get_by_role("status"), page.locator("tbody tr")
        await page.get_by_label("Address").fill(f"ws://127.0.0.1:{site.door}")
        await page.get_by_label("Seed").fill("nobody")
        await page.get_by_role("button").click()
        await expect(status).not_to_have_text("not connected")
        await page.get_by_label("Seed").fill((site.identities.folder / "subscriber.nk").read_text())
        await page.get_by_role("button").click()
        await expect(status).to_have_text("connected")
        await expect(rows).to_have_count(2)
        whole, fish = (rows.filter(has_text=zone).locator("td") for zone in ("_site", "fish"))
        await expect(fish.nth(3)).to_have_text("-")
        await store(site, window(_TODAY + 40 * MINUTE, site="browser", masked=8))
        await expect(whole).to_have_text([re.compile(r".*Z"), "browser", "_site", "0.8", "11", "1"])
        await asyncio.to_thread(site.server.stop)
        await expect(status).to_have_text("not connected, tries again")
        await asyncio.to_thread(site.server.start)
        await store(site, window(_TODAY + 60 * MINUTE, site="browser", masked=6))
        await expect(whole.nth(3)).to_have_text("0.75")
        await expect(status).to_have_text("connected")


@pytest.mark.timeout(COMPILE_S + 60)
async def test_tls(tmp_path, folder):
    """Where nobody comes in without a certificate, by the same variables in each language."""
    people, authority = Identities.make(tmp_path / "identities"), Authority()
    server = NatsProcess(tmp_path, whole=lambda port, store: nats_config(port, store, people.public)).start()
    try:
        bus = await Bus.connect(people.settings("aggregate", server.url), "aggregate")
        await bus.ensure_streams(stream.name for stream in STREAMS)
        await bus.store(WINDOWS, window(_TODAY))
        await bus.close()
        server.stop()
        files = _certificates(tmp_path, authority)
        tls = Tls(files["NATS_CERT"], files["NATS_KEY"], files["NATS_CA"])
        server.whole = lambda port, store: nats_config(port, store, people.public, tls=tls)
        server.start()
        env = _environment(server, people) | files | {"NATS_URL": f"tls://localhost:{server.port}"}
        for command in LATEST:
            with Recipe(command, folder, env) as recipe:
                await asyncio.to_thread(recipe.wait, lambda one=recipe: bool(one.lines), command, COMPILE_S)
            assert [told(one) for one in recipe.lines] == [published(window(_TODAY))]
    finally:
        server.stop()


def _certificates(folder: Path, authority: Authority) -> dict[str, str]:
    pem, ca = authority.issue("localhost", "127.0.0.1"), folder / "ca.pem"
    ca.write_bytes(authority.pem)
    both = folder / "both.pem"
    both.write_bytes(pem)
    return {"NATS_CA": str(ca), "NATS_CERT": str(both), "NATS_KEY": str(both)}


def test_every_recipe_is_told_of():
    """README.md and docs/subscribing.md name each program, whose first lines say how it is run."""
    files = {path.name for path in FOLDER.iterdir() if path.suffix in {".py", ".mjs", ".go", ".html", ".yml", ".yaml"}}
    assert {name for name in files if f"]({name})" in _readme()} == files
    subscribing = FOLDER.with_name("subscribing.md").read_text("utf-8")
    assert {name for name in files if f"](recipes/{name})" in subscribing} == files - {"browser.mjs"}
    for name in files:
        head = (FOLDER / name).read_text("utf-8").splitlines()[:6]
        assert name in _NOT_RUN or any("Run" in one for one in head), name
