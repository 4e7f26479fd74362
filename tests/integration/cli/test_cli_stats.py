"""`moretta stats` as people type it, with the real aggregate on a real server with the box's permissions."""

import asyncio
import csv
import io
import json

import pytest
from command_line import moretta
from patience import patient, until, wait_until
from PIL import Image
from site_process import Site
from windows import HOUR, MINUTE, market_day, window

from operate.identities import settings_file
from proto.stats import StatsRequestV1
from proto.subjects import STATS, WINDOWS
from services.bus import NoWorkers

DAY = 1_761_346_800_000_000_000 - 24 * HOUR
"""2025-10-24T00:00+01:00 where clocks are at UTC+1."""


pytestmark = pytest.mark.xdist_group("cli-stats")


class CountedSite:
    """A site of which a day was published, an aggregate that serves it, and the command."""

    def __init__(self, site, path):
        self.site, self.path = site, path

    async def run(self, *arguments):
        """Run the command beside the loop."""
        return await asyncio.to_thread(moretta, "stats", *arguments, "-c", self.path, COLUMNS="160")

    async def say(self, *arguments):
        """What it prints; asked again where a machine that does something else answered too late."""

        async def in_time():
            run = await self.run(*arguments)
            return None if "more windows than can be read in time" in run.stderr else run

        run = await until(in_time, "an answer in time")
        assert (run.returncode, run.stderr) == (0, ""), run.stderr
        return run.stdout


@pytest.fixture(name="ground", scope="module")
def _ground(tmp_path_factory):
    site = Site(tmp_path_factory.mktemp("stats"))
    site.server.start()
    path = site.identities.write("operator.yaml", settings_file(site.server.url, "operator"))
    cannes = {"id": "cannes", "timezone": "Africa/Lagos", "profile": "alerting", "zones": [{"id": "fish"}]}
    site.write({"sites": [cannes, {**cannes, "id": "nice"}], "log": {"format": "json"}})
    try:
        asyncio.run(_published(site))
        site.start("aggregate").wait_for("running")
        wait_until(lambda: asyncio.run(_is_served(site)), "an answer of aggregate", ignoring=(NoWorkers, TimeoutError))
        yield CountedSite(site, path)
    finally:
        site.close()


async def _published(site):
    async with site.bus("aggregate") as bus:
        await bus.ensure_streams(["WINDOWS"])
        for one in [*market_day(DAY), window(DAY + 9 * HOUR, zone="bread")]:
            await bus.store(WINDOWS, one)


async def _is_served(site):
    async with site.bus("operator") as bus:
        return await bus.request(STATS, StatsRequestV1(site="nice"), timeout=2)


async def test_a_published_day(ground):
    """As a table, as CSV, as JSON, by hours and in all: the same figures, and a chart beside them."""
    day = ("cannes", "--from", "2025-10-24", "--to", "2025-10-24")
    shown = await ground.say(*day)
    assert "Masks at cannes, the whole site, Fri 2025-10-24 (times of Africa/Lagos)" in shown
    assert "GAP: no window published" in shown
    rows = list(csv.DictReader(io.StringIO(await ground.say(*day, "--format", "csv"))))
    assert [row["start"] for row in rows][:2] == ["2025-10-24T00:00:00+01:00", "2025-10-24T01:00:00+01:00"]
    french = csv.DictReader(io.StringIO(await ground.say(*day, "--format", "csv", "--sep", ";")), delimiter=";")
    assert [row["rate"] for row in french] == [row["rate"].replace(".", ",") for row in rows]
    picture = ground.path.with_name("day.png")
    told = json.loads(await ground.say(*day, "--format", "json", "--step", "total", "--chart", str(picture)))
    (whole,) = told["periods"]
    assert whole["persons"] == sum(int(row["persons"] or 0) for row in rows)
    assert (len(rows), whole["windows_expected"], whole["windows_published"]) == (24, 72, 67)
    with Image.open(picture) as image:
        assert image.size == (1500, 840)
    assert (await ground.say(*day, "--step", "window", "--format", "csv")).count("\n") == 73
    dates = ("--from", "2025-10-01", "--to", "2025-10-31", "--step", "day", "--format", "csv")
    assert await ground.say("cannes", *dates) == await ground.say("cannes", "--month", "2025-10", *dates[4:])
    former = json.loads(await ground.say(*day, "--zone", "bread", "--step", "day", "--format", "json"))
    assert former["periods"][0]["persons"] == 11


async def test_of_several_sites_one_has_to_be_named(ground):
    """They are named."""
    run = await ground.run("--step", "total")
    assert (run.returncode, run.stderr) == (
        2,
        "moretta stats: SITE: is needed: aggregate counts here for cannes, nice\n",
    )


async def test_the_hours_asked_for(ground):
    """Times are by the clock of the site; what was asked for begins and ends there."""
    told = await ground.say("cannes", "--from", "2025-10-24T08:00", "--to", "2025-10-24T10:00", "--format", "csv")
    rows = list(csv.DictReader(io.StringIO(told)))
    assert [(row["start"][11:16], row["end"][11:16]) for row in rows] == [("08:00", "09:00"), ("09:00", "10:00")]


async def test_an_hour_counted_by_hand_beside_what_was_published(ground):
    """As a table and as JSON, with the figures of `moretta stats`; what is wrong says where."""
    counts = ground.path.with_name("count.csv")
    counts.write_text("start,end,masked,others\n2025-10-24T09:00,2025-10-24T10:00,240,60\n")

    async def run(*more):
        words = ("calibrate", "cannes", "--from-count", str(counts), *more, "-c", ground.path)
        return await asyncio.to_thread(moretta, *words, COLUMNS="160")

    told = await run()
    assert (told.returncode, told.stderr) == (0, "")
    assert "cannes, the whole site: 3 windows counted by hand" in told.stdout
    found = json.loads((await run("--json")).stdout)
    hours = ("--from", "2025-10-24T09:00", "--to", "2025-10-24T10:00", "--step", "total", "--format", "json")
    (period,) = json.loads(await ground.say("cannes", *hours))["periods"]
    same = ("persons", "masked", "unknown", "rate", "interval")
    assert {name: found["published"][name] for name in same} == {name: period[name] for name in same}
    assert (found["by_hand"]["persons"], found["by_hand"]["rate"], found["windows"]) == (300, 0.8, 3)
    low, high = period["interval"]
    assert found["inside"] is (low <= 0.8 <= high)
    counts.write_text("start,end,masked,others\n2025-10-24T09:05,2025-10-24T10:00,240,60\n")
    told = await run()
    assert (told.returncode, "count.csv: line 2: from 2025-10-24T09:05:00" in told.stderr) == (2, True), told.stderr
    told = await run("--zone", "fsh")
    assert (told.returncode, told.stderr) == (
        2,
        "moretta calibrate: --zone: no such zone 'fsh' at cannes; known are _site, fish\n",
    )


MISTAKES = [
    (("lyon",), 2, "moretta stats: SITE: no such site 'lyon'; aggregate counts here for cannes, nice"),
    (("Lyon!",), 2, "moretta stats: site: must be 1-32 of a-z, 0-9 and inner hyphens, got 'Lyon!'"),
    (
        ("cannes", "--zone", "fsh"),
        2,
        "moretta stats: --zone: no such zone 'fsh' at cannes, and nothing of it was published; known are _site, fish",
    ),
    (
        ("cannes", "--from", "24/10/2025"),
        2,
        "moretta stats: --from: '24/10/2025' is no date or time; write 2026-11-24",
    ),
    (
        ("cannes", "--from", "2025-10-25", "--to", "2025-10-24"),
        2,
        "moretta stats: --from: 2025-10-25 is not before --to 2025-10-24",
    ),
    (
        ("cannes", "--from", "1999-01-01"),
        2,
        "moretta stats: --step: more than 10000 periods by hour; ask for less time",
    ),
    (("cannes", "--sep", ";"), 2, "moretta stats: --sep: ';' is for CSV alone; give --format csv, too"),
    (("cannes", "--chart", "day.jpg"), 2, "moretta stats: --chart: 'day.jpg' must be a .png file in a folder"),
    (
        ("nice", "--from", "2025-10-24", "--to", "2025-10-24"),
        1,
        "moretta stats: nothing was published of nice, zone _site, in that time",
    ),
]


async def test_mistakes_are_one_line(ground):
    """What is wrong and what would be right, in one line: 2 for a mistake, 1 where there is nothing to show."""
    for arguments, code, told in MISTAKES:
        run = await ground.run(*arguments)
        assert (run.returncode, run.stdout, len(run.stderr.splitlines())) == (code, "", 1), run.stderr
        assert run.stderr.startswith(told)


async def test_who_may_not_ask_gets_no_answer(ground):
    """Who is refused hears that as a possibility, in one line: 1, and no traceback."""
    ingest = ground.path.with_name("ingest.yaml")
    ingest.write_text(ground.path.read_text().replace("operator", "ingest"))
    refused = await asyncio.to_thread(moretta, "stats", "cannes", "-c", ingest)
    assert refused.returncode == 1
    assert refused.stderr.splitlines()[-1].startswith("moretta stats: no answer in 10 s; is aggregate well")
    assert "Traceback" not in refused.stderr


async def test_nobody_answers(tmp_path):
    """Without aggregate that is said: 1, and no traceback."""
    site = Site(tmp_path)
    site.server.start()
    path = site.identities.write("operator.yaml", settings_file(site.server.url, "operator"))
    try:
        run = await CountedSite(site, path).run("cannes")
    finally:
        await asyncio.to_thread(site.close)
    assert (run.returncode, run.stdout) == (1, "")
    assert run.stderr == "moretta stats: nobody answers: no aggregate is connected to this NATS\n"


async def test_readers_ask_too(ground):
    """A subscriber and notify get the same answer as an operator, over the permissions of the box."""
    question = StatsRequestV1(site="cannes", since=DAY, until=DAY + 24 * HOUR, step="day")
    answers = []
    for identity in ("operator", "subscriber", "notify"):
        async with ground.site.bus(identity) as bus:
            answers.append(await bus.request(STATS, question, timeout=patient(10)))
    assert answers[0].periods[0].windows_published == 67
    assert answers.count(answers[0]) == 3


async def test_many_windows(ground):
    """A month of windows is summed within the time that an answer has."""
    async with ground.site.bus("aggregate") as bus:
        starts = [DAY + 48 * HOUR + n * 20 * MINUTE for n in range(30 * 72)]
        await bus.store(WINDOWS, window(starts.pop(0)))
        for batch in range(0, len(starts), 200):
            await asyncio.gather(*(bus.store(WINDOWS, window(start)) for start in starts[batch : batch + 200]))
    told = json.loads(await ground.say("cannes", "--from", "2025-10-26", "--step", "total", "--format", "json"))
    assert told["periods"][0]["persons"] == 11 * 30 * 72
