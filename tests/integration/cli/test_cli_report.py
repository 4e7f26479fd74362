"""`moretta report` as people type it, on a real server with the box's permissions."""

import asyncio
import base64
import io
import re

import pytest
import yaml
from command_line import moretta
from msgspec import structs
from patience import until
from PIL import Image
from site_process import Site
from windows import HOUR, decree, hidden, market_day, window

from operate.identities import settings_file
from proto.public import AlertV1
from proto.subjects import ALERTS, WINDOWS

DAY = 1_761_346_800_000_000_000 - 24 * HOUR
"""2025-10-24T00:00+01:00 where clocks are at UTC+1."""
CANNES = {
    "id": "cannes",
    "name": "Marché <Forville>",
    "timezone": "Africa/Lagos",
    "profile": "alerting",
    "zones": [{"id": "fish", "name": "Fish hall"}],
    "cameras": [{"id": "gate", "url_file": "nowhere"}],
}


def alert(start, state):
    return AlertV1(
        site="cannes", zone="fish", rule="fish-rate", profile="alerting", alert="a" * 16, state=state,
        severity="warning", since=start, start=start, end=start + HOUR // 3, rate=0.6, interval=(0.5, 0.7), persons=50,
        coverage=1.0, fire_below=0.7, clear_above=0.75,
    )  # fmt: skip


pytestmark = pytest.mark.xdist_group("cli-report")


class PublishedDays:
    """A server on which some days of two sites were published, and the command."""

    def __init__(self, site, path, folder):
        self.site, self.path, self.folder = site, path, folder

    async def run(self, *arguments, file=None):
        """Run the command beside the loop."""
        return await asyncio.to_thread(moretta, "report", *arguments, "-c", file or self.path)

    async def page(self, *arguments):
        """The file that it writes."""
        out = self.folder / "report.html"
        run = await self.run(*arguments, "--out", out)
        assert (run.returncode, run.stderr) == (0, ""), run.stderr
        return out.read_text(encoding="utf-8")


@pytest.fixture(name="ground", scope="module")
def _ground(tmp_path_factory):
    folder = tmp_path_factory.mktemp("report")
    site = Site(folder)
    site.server.start()
    path = site.identities.write("operator.yaml", settings_file(site.server.url, "operator"))
    nats = yaml.safe_load(path.read_text())
    nice = {"id": "nice", "timezone": "Africa/Lagos", "profile": "fr-2021-269"}
    path.write_text(yaml.safe_dump({**nats, "sites": [CANNES, nice]}))
    try:
        asyncio.run(_stored(site))
        yield PublishedDays(site, path, folder)
    finally:
        site.close()


async def _stored(site):
    async with site.bus("aggregate") as bus:
        await bus.ensure_streams(["WINDOWS", "ALERTS"])
        for one in [*published(DAY - 24 * HOUR), *published(DAY), window(DAY + 24 * HOUR, 1, (300, 0, 0))]:
            await bus.store(WINDOWS, one)
        for start, state in ((DAY + 9 * HOUR, "firing"), (DAY + 11 * HOUR, "resolved")):
            await bus.store(ALERTS, alert(start, state))


def published(first):
    """A day of cannes with a zone, and of nice, whose profile allows two figures."""
    for one in market_day(first):
        yield one
        shown = one.persons is not None
        yield window(one.start, 10, (9, 0, 1), zone="fish") if shown else hidden(one.start, zone="fish")
        yield structs.replace(decree(one.start, one.persons, one.rate), site="nice", suppressed=one.suppressed)


def pictures(page):
    """The pictures in the page, each as (alternative text, width)."""
    for data, text in re.findall(r'<img src="data:image/png;base64,([^"]+)" alt="([^"]+)"', page):
        with Image.open(io.BytesIO(base64.b64decode(data))) as image:
            yield text, image.width


async def test_a_day_in_one_file(ground):
    """All figures of the day and of no other; names escaped; pictures inside; in French, too; the same bytes again."""
    page = await ground.page("cannes", "--day", "2025-10-24")
    for told in (
        "Friday, 24 October 2025", "Marché &lt;Forville&gt;", "79%", "2,314 people", "Thursday, 23 October 2025: 79%",
        "17 October 2025: no rate was published", "Fish hall, “fish-rate”: 1 alert, firing for 2 h.",
        "Nothing was published for 5 of 72 periods of 20 min.", "27 of 67 periods of 20 min: too few people to show",
        "88% of the day was observed.", "06:00 to 07:00", "53% of 800 people",
    ):  # fmt: skip
        assert told in page, told
    assert not re.search(r"(?:src|href)=\"(?!data:)", page)
    assert "gate" not in page
    assert [width > 900 for _, width in pictures(page)] == [True, True]
    assert page == await ground.page("cannes", "--day", "2025-10-24")
    french = await ground.page("cannes", "--day", "2025-10-24", "--language", "fr")
    assert "Rapport quotidien" in french
    assert "2\u202f314 personnes" in french


async def test_names_come_from_the_settings_of_the_site(ground):
    """Their section of NATS names a seed of another machine, which nobody opens; a site that is not there is told."""
    (ground.folder / "own.nk").write_bytes((ground.site.identities.folder / "operator.nk").read_bytes())
    operator = ground.folder / "without.yaml"
    plain = {name: part for name, part in yaml.safe_load(ground.path.read_text()).items() if name != "sites"}
    plain["nats"]["seed_file"] = str(ground.folder / "own.nk")
    operator.write_text(yaml.safe_dump(plain))
    names = ground.folder / "site.yaml"
    names.write_text(yaml.safe_dump({"nats": {"seed_file": "/nowhere/aggregate.nk"}, "sites": [CANNES]}))
    out = ground.folder / "named.html"
    asked = ("cannes", "--day", "2025-10-24", "--out", out, "--sites", names)
    run = await ground.run(*asked, file=operator)
    assert (run.returncode, run.stderr) == (0, "")
    assert "Marché &lt;Forville&gt;" in out.read_text("utf-8")
    run = await ground.run("nice", *asked[1:], file=operator)
    assert (run.returncode, run.stderr) == (
        2, f"moretta report: --sites: {names} has no site 'nice'; there are: cannes\n",
    )  # fmt: skip


async def test_two_figures_where_the_profile_allows_no_more(ground):
    """Windows as published, the sum and the mean; no zone, no interval, no coverage, no alert."""
    page = await ground.page("nice", "--day", "2025-10-24")
    assert "2,314 people" in page
    assert "06:00 to 06:20" in page
    assert len(list(pictures(page))) == 1
    for absent in ("Fish", "Interval<", "was observed", "Alerts", "between", "out of order"):
        assert absent not in page, absent


MISTAKES = [
    (("cannes", "--so-far", "--day", "2025-10-24"), 2, "moretta report: --so-far: is about today; leave out --day"),
    (("cannes", "--so-far"), 1, "moretta report: nothing was published of cannes today ("),
    (("Cannes!",), 2, "moretta report: site: must be 1-32 of a-z"),
    (("lyon",), 2, "moretta report: SITE: no aggregate counts for 'lyon' at the moment, and -c FILE has no section"),
    (("cannes", "--day", "24/10/2025"), 2, "moretta report: --day: '24/10/2025' is no date; write 2026-11-24"),
    (("cannes", "--day", "0001-01-01"), 2, "moretta report: --day: nothing was published in the year 1"),
    (("cannes", "--day", "2525-10-24"), 2, "moretta report: --day: 2525-10-24 is not over at cannes; the last day"),
    (("cannes", "--language", "tlh"), 2, "moretta report: --language: no 'tlh'; there are en, fr"),
    (("cannes", "--out", "report.pdf"), 2, "moretta report: --out: 'report.pdf' must be a .html file in a folder"),
    (("cannes", "--day", "2025-10-22"), 1, "moretta report: nothing was published of cannes on 2025-10-22"),
    (("cannes",), 1, "moretta report: nothing was published of cannes on 20"),
]


async def test_mistakes_are_one_line(ground):
    """What is wrong and what would be right: 2 for a mistake, 1 where there is nothing to tell; no file is left."""
    out = ground.folder / "none.html"
    for arguments, code, told in MISTAKES:
        extra = () if "--out" in arguments else ("--out", out)
        run = await ground.run(*arguments, *extra)
        assert (run.returncode, run.stdout, len(run.stderr.splitlines())) == (code, "", 1), run.stderr
        assert run.stderr.startswith(told)
    assert not out.exists()


async def test_the_clock_comes_from_aggregate_without_a_section(ground):
    """An operator's file that says nothing of the site will do while aggregate serves it."""
    bare = ground.path.with_name("bare.yaml")
    bare.write_text(yaml.safe_dump({"nats": yaml.safe_load(ground.path.read_text())["nats"]}))
    ground.site.write({"sites": [{"id": "cannes", "timezone": "Africa/Lagos"}], "log": {"format": "json"}})
    aggregate = ground.site.start("aggregate")
    out = ground.folder / "bare.html"

    async def written():
        run = await ground.run("cannes", "--day", "2025-10-24", "--out", out, file=bare)
        assert run.returncode == 0 or run.stderr.startswith("moretta report: SITE: no aggregate counts"), run.stderr
        return run if run.returncode == 0 else None

    run = await until(written, "a report", 60, every_s=0.3)
    assert await asyncio.to_thread(aggregate.stop) == 0
    assert run.stdout == f"{out}: cannes on 2025-10-24\n"
    page = out.read_text(encoding="utf-8")
    assert "2,314 people" in page
    assert "fish, “fish-rate”: 1 alert" in page
