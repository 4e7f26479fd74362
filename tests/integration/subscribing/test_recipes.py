"""Each recipe of docs/recipes runs as it stands against a real server, and prints what was published."""

import asyncio
import contextlib
import csv
import json
import re
from datetime import UTC, datetime
from pathlib import Path
from textwrap import dedent

import pytest
from aiohttp import web
from authority import Authority
from cloudevents.core.bindings.http import HTTPMessage, from_http_event
from http_peer import HttpPeer
from msgspec import structs
from nats_process import NatsProcess
from patience import patient, until
from playwright.async_api import expect
from recipe_browser import connect, served
from recipe_place import (
    PYTHON,
    TODAY,
    acknowledged,
    alert,
    environment,
    in_each_language,
    name_of,
    restart,
    some,
    store,
)
from recipes import COMPILE_S, FOLDER, Recipe, published, utc
from windows import HOUR, MINUTE, window

from operate.identities import Identities, nats_config
from operate.identities.server_config import ServerTls
from proto.codec import encode
from proto.stats import StatsRequestV1
from proto.subjects import ALERTS, STATS, STREAMS, WINDOWS
from services.aggregate.mirrors.keeper import Mirrors
from services.bus import Bus, NoWorkers

LATEST = in_each_language("latest")
MISSES_NONE = in_each_language("nothing_missed")
SHARED = {"connect.py", "connect.mjs", "connect.go"}
_NOT_RUN = SHARED | {"browser.mjs", "alertmanager.settings.yaml", "published_rates.yml"}
"""Parts of others."""
pytestmark = [pytest.mark.usefixtures("needs_recipes"), pytest.mark.timeout(COMPILE_S + 60)]


def shown(recipe: Recipe) -> list[str]:
    """The end, site and zone of each printed window."""
    return [" ".join(line.split()[:3]) for line in recipe.printed]


async def printed(recipe: Recipe, count: int) -> None:
    """Wait for so many lines."""
    await asyncio.to_thread(recipe.until, lambda: len(recipe.printed) >= count, f"{count} lines", COMPILE_S)


@pytest.mark.parametrize("command", LATEST, ids=name_of)
async def test_latest(own_site, folder, command):
    """The latest window of each zone at once, then each new one."""
    site, new = own_site, window(TODAY + HOUR, site="cannes")
    await site.mirrored()
    await store(site, *some("cannes"))
    with Recipe(command, folder, environment(site)) as recipe:
        latest = {published(one) for one in some("cannes")[2:]}
        await asyncio.to_thread(recipe.until, lambda: latest <= {*shown(recipe)}, "both zones", COMPILE_S)
        before = len(recipe.printed)
        await store(site, new)
        await printed(recipe, before + 1)
        assert shown(recipe)[before:] == [published(new)]
        assert "0.8" in recipe.printed[-1]


@pytest.mark.parametrize("command", in_each_language("follow"), ids=name_of)
async def test_follow(own_site, folder, command):
    """Each message of any kind, once, with its subject."""
    site = own_site
    await site.mirrored()
    with Recipe(command, folder, environment(site)) as recipe:
        for number in range(round(patient(60))):  # it says nothing before the first one
            await store(site, window(TODAY + number * HOUR, site="cannes"))
            with contextlib.suppress(AssertionError):
                await asyncio.to_thread(recipe.until, lambda: recipe.printed, "a window", 1)
                break
        await store(site, alert("cannes"), row=ALERTS)
        await asyncio.to_thread(recipe.until, lambda: "alerts" in recipe.printed[-1], "an alert")
        assert recipe.printed[-1].startswith('moretta.v1.alerts.cannes._site.low {"type":"AlertV1"')
        assert len(set(recipe.printed)) == len(recipe.printed)


@pytest.mark.parametrize("command", MISSES_NONE, ids=name_of)
async def test_nothing_missed(own_site, folder, command):
    """Windows published while it was away, and while the server was, come once each and in order."""
    site, seen = own_site, []
    windows = [window(TODAY + n * 20 * MINUTE, masked=n + 1) for n in range(6)]
    await site.mirrored()
    with Recipe(command, folder, environment(site)) as first:
        await store(site, *windows[:2])
        await printed(first, 2)
        await acknowledged(site)
    seen += shown(first)
    await store(site, *windows[2:4])
    with Recipe(command, folder, environment(site)) as second:
        await printed(second, 2)
        await acknowledged(site)
        await asyncio.to_thread(site.server.stop)
        await asyncio.to_thread(site.server.start)
        await site.mirrored()
        await store(site, *windows[4:])
        await printed(second, 4)
    assert seen + shown(second) == [published(one) for one in windows]


@pytest.mark.parametrize("command", in_each_language("csv_log"), ids=name_of)
async def test_csv_log(own_site, folder, command):
    """One heading, and each window once, those of an outage too."""
    command += " >> windows.csv"
    site, log, windows = own_site, folder / "windows.csv", [*some("csv"), window(TODAY + 40 * MINUTE, site="csv")]
    await site.mirrored()
    await store(site, *windows[:2])
    with Recipe(command, folder, environment(site)) as first:
        await asyncio.to_thread(first.until, lambda: log.exists() and log.read_text().count("\n") >= 3, "two rows")
        await acknowledged(site)
    await store(site, *windows[2:])
    with Recipe(command, folder, environment(site)) as second:
        await asyncio.to_thread(second.until, lambda: log.read_text().count("\n") >= 6, "five rows")
    with log.open(newline="") as file:
        heading, *rows = list(csv.reader(file))
    assert heading == ["end", "site", "zone", "rate", "persons", "coverage"]
    figures = [(utc(one.end), one.site, one.zone, one.rate, one.persons, one.coverage) for one in windows]
    assert [(*row[:3], *map(_number, row[3:])) for row in rows] == figures


def _readme() -> str:
    return (FOLDER / "README.md").read_text("utf-8")


def _number(text: str) -> float | None:
    return float(text) if text else None


async def test_cloud_events(own_site, folder):
    """Each window once, as CNCF's own SDK reads it; what the sink refuses is posted again, and nothing is skipped."""
    site = own_site
    await site.mirrored()
    await store(site, *some("events"))
    async with HttpPeer() as sink:
        sink.answers = [web.Response(status=503)]
        env = environment(site) | {"SINK": sink.url("moretta")}
        with Recipe(f"{PYTHON} cloud_events.py", folder, env) as recipe:
            await until(lambda: len(sink.got) >= 5, "four windows, one twice")
        assert recipe.words == ["SINK: HTTP Error 503: Service Unavailable"]
    events = [
        from_http_event(HTTPMessage({k.lower(): v for k, v in got.headers.items()}, got.body)) for got in sink.got
    ]
    assert events[0].get_id() == events[1].get_id()
    assert [one.get_data() for one in events[1:]] == [json.loads(encode(WINDOWS, one)) for one in some("events")]
    assert {(one.get_type(), one.get_source()) for one in events} == {("moretta.v1.WindowV1", "/moretta/events")}
    assert len({one.get_id() for one in events}) == 4
    assert [one.get_time().isoformat() for one in events[1:]] == [
        datetime.fromtimestamp(one.end / 1e9, UTC).isoformat() for one in some("events")
    ]


@pytest.mark.parametrize("command", in_each_language("replay"), ids=name_of)
async def test_replay(own_site, folder, command):
    """What was published since a moment or a day, in order, and nothing from before; nothing new is no error."""
    site = own_site
    await site.mirrored()
    await store(site, *some("replay"))
    await asyncio.sleep(1.1)
    since = datetime.now(UTC).isoformat()
    later = [window(TODAY + MINUTE * n, site="replay", zone="bread") for n in range(5)]
    await store(site, *later)
    for arguments, wanted in ((since, later), ("", [*some("replay"), *later]), ("2222-01-01", [])):
        recipe = Recipe(f"{command} {arguments}", folder, environment(site))
        code, lines, words = await asyncio.to_thread(recipe.result)
        assert (code, words) == (0, [])
        assert [" ".join(line.split()[:3]) for line in lines] == [published(one) for one in wanted]
    bad = Recipe(f"{command} 1.12.2026", folder, environment(site))
    code, lines, words = await asyncio.to_thread(bad.result)
    assert (code, lines, len(words)) == (2, [], 1), words


@pytest.mark.parametrize("command", in_each_language("alerts"), ids=name_of)
async def test_alerts(own_site, folder, command):
    """The state of each, then each change."""
    site, end = own_site, TODAY + 20 * MINUTE
    await site.mirrored()
    await store(site, alert("market", zone="fish"), row=ALERTS)
    with Recipe(command, folder, environment(site)) as recipe:
        await printed(recipe, 1)
        resolved = alert("market", zone="fish", state="resolved", rate=0.75, end=end + MINUTE)
        await store(site, resolved, row=ALERTS)
        await printed(recipe, 2)
    since, decided, ended = utc(TODAY), utc(end), utc(end + MINUTE)
    assert recipe.printed == [
        f"firing market fish low {since} {decided} 0.4", f"resolved market fish low {since} {ended} 0.75"
    ]  # fmt: skip


async def test_history(own_site, folder):
    """Hours of the site's clock, each the sum of its windows; an unknown site is answered by nobody."""
    site = own_site
    one = {"id": "history", "timezone": "Africa/Lagos", "profile": "alerting", "zones": [{"id": "fish"}]}
    site.write({"log": {"format": "json"}, "sites": [one]})
    await store(site, *(window(TODAY - 3 * HOUR + n * 20 * MINUTE, site="history") for n in range(6)))
    aggregate = site.start("aggregate")
    try:
        async with site.bus("operator") as bus, asyncio.timeout(patient(30)):
            while True:
                with contextlib.suppress(NoWorkers, TimeoutError):
                    await bus.request(STATS, StatsRequestV1(site="history"), timeout=2)
                    break
                await asyncio.sleep(0.1)
        for command in in_each_language("history"):
            asked = Recipe(f"{command} history", folder, environment(site))
            code, lines, words = await asyncio.to_thread(asked.result)
            assert (code, words) == (0, [])
            sums = [line for line in lines if " 33 " in line]
            assert [line.split()[:3] for line in sums] == [
                [utc(TODAY - n * HOUR), utc(TODAY - (n - 1) * HOUR), "0.8"] for n in (3, 2)
            ]
            code, lines, words = await asyncio.to_thread(Recipe(command, folder, environment(site)).result)
            assert (code > 0, lines, len(words), "SITE" in words[0]) == (True, [], 1, True)
            full = Recipe(f"{command} history > /dev/full", folder, environment(site))
            code, _, words = await asyncio.to_thread(full.result)
            assert (code, len(words), "space" in words[0]) == (2, 1, True), words
            unknown = Recipe(f"{command} nowhere", folder, environment(site))
            code, lines, words = await asyncio.to_thread(unknown.result)
            assert (code, lines, len(words), "respon" in words[0]) == (2, [], 1, True), words
    finally:
        assert await asyncio.to_thread(aggregate.stop) == 0


@pytest.mark.parametrize("command", LATEST, ids=name_of)
async def test_what_is_wrong_is_one_line(own_site, folder, tmp_path, command):
    """No seed, and a key that the server does not know."""
    site = own_site
    await site.mirrored()
    with Recipe(command, folder, environment(site) | {"NATS_NKEY": "nowhere.nk"}) as recipe:
        code, lines, words = await asyncio.to_thread(recipe.result)
    assert (code, lines, len(words)) == (2, [], 1)
    assert "nowhere.nk" in words[0]
    old = Identities.make(tmp_path / "old").folder / "subscriber.nk"
    with Recipe(command, folder, environment(site) | {"NATS_NKEY": str(old)}) as recipe:
        code, lines, words = await asyncio.to_thread(recipe.result)
    assert (code, lines, len(words)) == (2, [], 1), words
    assert "authorization violation" in words[0].lower()


@pytest.mark.parametrize("command", LATEST[:2], ids=name_of)
async def test_output_that_is_closed_early(own_site, folder, command):
    """`| head` ends a recipe without a word."""
    site = own_site
    await site.mirrored()
    await store(site, *some("cannes"))
    recipe = Recipe(f"{command} | head -1", folder, environment(site))
    await printed(recipe, 1)
    await store(site, *some("nice"))
    code, _, words = await asyncio.to_thread(recipe.result)
    assert (code, words) == (0, [])


async def test_browser(own_site, folder, tmp_path):
    """Waits for the first window, shows new ones, those of an outage too, and says when its key was withdrawn."""
    site = own_site
    await site.mirrored()
    async with served(folder, tmp_path / "profile") as (page, origin):
        await asyncio.to_thread(restart, site, origins=[origin])
        await site.mirrored()
        status, rows = page.get_by_role("status"), page.locator("tbody tr")
        await connect(page, f"ws://127.0.0.1:{site.door}", (site.identities.folder / "subscriber.nk").read_text())
        await expect(status).to_have_text("connected, waiting for the first window: it comes when it has ended")
        await store(site, *some("browser"))
        await expect(status).to_have_text("connected")
        await expect(rows).to_have_count(2)
        whole, fish = (rows.filter(has_text=zone).locator("td") for zone in ("_site", "fish"))
        await expect(fish.nth(3)).to_have_text("-")
        await store(site, window(TODAY + 40 * MINUTE, site="browser", masked=8))
        await expect(whole).to_have_text([re.compile(r".*Z"), "browser", "_site", "0.8", "11", "1"])
        await asyncio.to_thread(site.server.stop)
        await expect(status).to_have_text("connection lost, tries again")
        await asyncio.to_thread(site.server.start)
        await site.mirrored()
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


async def test_tls(tmp_path, folder):
    """Where nobody comes in without a certificate, by the same variables in each language."""
    people, authority = Identities.make(tmp_path / "identities"), Authority()
    files = _certificates(tmp_path, authority)
    tls = ServerTls(files["NATS_CERT"], files["NATS_KEY"], files["NATS_CA"])
    server = NatsProcess(tmp_path, whole=lambda port, store: nats_config(port, store, people.public)).start()
    try:
        bus = await Bus.connect(people.settings("aggregate", server.url), "aggregate")
        await bus.ensure_streams(stream.name for stream in STREAMS)
        await Mirrors(bus).turn()
        await bus.store(WINDOWS, window(TODAY))
        await bus.close()
        server.stop()
        server.whole = lambda port, store: nats_config(port, store, people.public, tls=tls)
        server.start()
        seen = people.settings("aggregate", f"tls://localhost:{server.port}")
        both = {"client_cert_file": files["NATS_CERT"], "client_key_file": files["NATS_KEY"]}
        bus = await Bus.connect(structs.replace(seen, ca_file=files["NATS_CA"], **both), "aggregate")
        await Mirrors(bus).turn()  # those in memory
        await bus.close()
        env = files | {"NATS_URL": f"tls://localhost:{server.port}", "NATS_NKEY": str(people.folder / "subscriber.nk")}
        for command in LATEST:
            with Recipe(command, folder, env) as recipe:
                await asyncio.to_thread(recipe.until, lambda one=recipe: one.printed or one.words, "a word", COMPILE_S)
            assert (shown(recipe), recipe.words) == ([published(window(TODAY))], [])
    finally:
        server.stop()


def _certificates(folder: Path, authority: Authority) -> dict[str, str]:
    pem, ca = authority.issue("localhost", "127.0.0.1"), folder / "ca.pem"
    ca.write_bytes(authority.pem)
    both = folder / "both.pem"
    both.write_bytes(pem)
    return {"NATS_CA": str(ca), "NATS_CERT": str(both), "NATS_KEY": str(both)}


async def test_the_first_program(own_site, folder):
    """What docs/subscribing.md shows first runs as it stands: the latest value at once, then each new one.

    Without a variable it says so in one line.
    """
    site = own_site
    await site.mirrored()
    await store(site, window(TODAY, site="first"))
    text = FOLDER.with_name("subscribing.md").read_text("utf-8")
    (program,) = re.findall(r"^ *```python\n(.*?)```", text, re.DOTALL | re.MULTILINE)
    (folder / "first.py").write_text(dedent(program))
    with Recipe(f"{PYTHON} first.py", folder, environment(site)) as recipe:
        await printed(recipe, 1)
        await store(site, window(TODAY + HOUR, site="first"))
        await printed(recipe, 2)
    assert recipe.printed == [f"{utc(TODAY + n * HOUR + 20 * MINUTE)} first _site 0.8 11" for n in (0, 1)]
    with Recipe(f"env -u NATS_NKEY {PYTHON} first.py", folder, environment(site)) as recipe:
        code, lines, words = await asyncio.to_thread(recipe.result)
    assert (code, lines, len(words), "NATS_NKEY" in words[0]) == (1, [], 1, True), words


def test_every_recipe_is_told_of():
    """README.md and docs/subscribing.md name each program, which is short and whose first lines say how it is run."""
    files = {path.name for path in FOLDER.iterdir() if path.suffix in {".py", ".mjs", ".go", ".html", ".yml", ".yaml"}}
    assert {name for name in files if f"]({name})" in _readme()} == files
    assert f"\n{in_each_language('csv_log')[0]} >> windows.csv\n" in _readme()
    subscribing = "".join(FOLDER.with_name(name).read_text("utf-8") for name in ("subscribing.md", "other-systems.md"))
    assert {name for name in files if f"](recipes/{name})" in subscribing} >= files - SHARED - {"browser.mjs"}
    long = {*_NOT_RUN, "to_alertmanager.py", "browser.html", "cloud_events.py"}
    for name in files:
        lines = (FOLDER / name).read_text("utf-8").splitlines()
        assert name in _NOT_RUN or any("Run" in one for one in lines[:6]), name
        assert name in long or not name.endswith((".py", ".mjs", ".go")) or len(lines) < 25, name
