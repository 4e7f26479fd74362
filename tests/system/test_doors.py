"""No door lets out what a legal profile forbids: messages, queries, metrics, logs, traces, the live table.

The real box runs, with the real server, services and permissions, and counts people of whom all is known. Two sites
differ in nothing but what their profile forbids: whatever leaves the box must be the same of both. Numbers that occur
nowhere else are searched in all that leaves it. What is forbidden comes from the words of the design
(tests/support/legal.py), not from the code. Under `lab` everything must be found, or the search would prove nothing.
"""

import asyncio
import json
import re
import time
from collections import Counter, defaultdict
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path

import crowd
import doors
import legal
import pytest
import yaml
from command_line import moretta
from crowd import WINDOW
from fonts import _fonts  # noqa: F401 - a fixture
from message_times import in_ns
from msgspec import structs, to_builtins
from otlp import Collector
from patience import until
from program import Program
from warm import SERVICES, warm

from operate.box.box import Box
from operate.box.up import listen
from operate.live_state import LiveState
from operate.stats.stats_chart import chart
from proto.codec import as_json, decode_as, encode
from proto.public import AlertV1, WindowV1
from proto.sightings import SiteConfigV1
from proto.stats import StatsReplyV1
from proto.subjects import CAMERA_EVENTS, PASSAGES, SITE_CONFIG, WINDOWS
from services.bus import Bus
from services.bus.connection.shutdown import end_client
from services.kernel.settings import convert
from services.sites.settings import SiteSettings

HALL, QUAY = "gate", "back"
"""Cameras, of the zones hall and quay."""
CROWD = {HALL: (151, 127, 109, 113), QUAY: (131, 107, 103, 139)}
SCENE = [
    CROWD,
    {HALL: (4, 0, 0, 0), QUAY: (200, 57, 3, 0)},
    {HALL: (3, 0, 0, 1), QUAY: (2, 1, 0, 0)},
    {HALL: (0, 19, 0, 41), QUAY: (167, 0, 0, 0)},
    {HALL: (0, 23, 0, 0), QUAY: (163, 0, 0, 0)},
]
"""A crowd; few in the hall; few anywhere; 19 judged in the hall, none of them masked; 23 of them."""
SAME = {
    # As many people, and the same whole percent; other places, verdicts and unknown ones.
    "fr-2021-269": [
        {HALL: (149, 101, 120, 130), QUAY: (142, 118, 118, 102)},
        {HALL: (95, 30, 0, 7), QUAY: (100, 26, 2, 4)},
        {HALL: (2, 1, 0, 0), QUAY: (3, 0, 0, 1)},
        {HALL: (167, 0, 0, 0), QUAY: (0, 19, 0, 41)},
        {HALL: (163, 0, 0, 0), QUAY: (0, 23, 0, 0)},
    ],
    # Another small number in the hall, where the whole site has the same; others, and none, where few are anywhere.
    "stats-only": [
        CROWD,
        {HALL: (7, 0, 0, 0), QUAY: (197, 57, 3, 0)},
        {HALL: (0, 0, 0, 0), QUAY: (5, 3, 1, 0)},
        *SCENE[3:],
    ],
}
"""What must look the same as the scene, by profile."""
WIDE = [{HALL: (61, 29, 11, 36), QUAY: (53, 31, 19, 17)}, {HALL: (70, 31, 16, 26), QUAY: (150, 31, 16, 14)}]
"""A scene for a site that suppresses counts below 150: 137 and 120, then 143 and 211, neither zone of which shows."""
NEEDLES = {
    "fr-2021-269": [151, 127, 109, 113, 131, 107, 103, 139, 282, 234, 212, 252, 500, 480, 728, 748, 149, 291, 232, 238],
    "stats-only": [137, 120, 143, 211],
    "alerting": [137, 120, 143, 211],
}
"""Numbers that may not leave, by profile."""
RULE = {"id": "low", "zone": "hall", "fire_below": 0.9, "clear_above": 0.95, "for_windows": 1}
TWINS = ("north", "south")


def site(name: str, profile: str, **changes: object) -> dict[str, object]:
    """Return a site's settings with all that its profile allows."""
    zones = profile != "fr-2021-269"
    rules = {"lab": [{**RULE, "min_persons": 1}], "alerting": [{**RULE, "min_persons": 20}]}
    places = {HALL: {"zone": "hall"}, QUAY: {"zone": "quay"}}
    cameras = [{"id": camera, "url": "/nowhere.mp4", **(place if zones else {})} for camera, place in places.items()]
    return {
        "id": name, "profile": profile, "window_s": 1_200, "lateness_s": 2, "close_on_end": True,
        "tracking": crowd.TRACKING, "cameras": cameras, "rules": rules.get(profile, []),
        "zones": [{"id": "hall"}, {"id": "quay"}] if zones else [], **changes,
    }  # fmt: skip


FORBIDDEN = {
    "fr-2021-269": {"zones": [{"id": "hall"}], "window_s": 600, "rules": [{**RULE, "min_persons": 1}]},
    "stats-only": {"rules": [{**RULE, "min_persons": 50}], "suppress_below": 2},
    "alerting": {"rules": [{**RULE, "min_persons": 19}], "window_s": 60},
}
"""What a settings file may not ask for."""


class House:
    """A box with its sites, and all that has left it."""

    def __init__(self, folder: Path, profile: str) -> None:
        self.profile, self.file, self.collector = profile, folder / "settings.yaml", Collector()
        self.sites = [site(name, profile) for name in TWINS]
        if profile in {"stats-only", "alerting"}:
            self.sites.append(site("wide", profile, suppress_below=150))
        self.collector.start()
        self.write(self.sites)
        self.lines: list[str] = []
        self.box = Box(folder / "box", self.file, on_line=self.said)
        self.view, self.views, self.rows = LiveState(), {one["id"]: LiveState() for one in self.sites}, []
        self.tables: dict[str, list[str]] = {str(one["id"]): [] for one in self.sites}
        self.start = (time.time_ns() // WINDOW + 2) * WINDOW

    def write(self, sites: list[dict[str, object]]) -> None:
        new = self.file.with_suffix(".new")
        tracing = {"endpoint": self.collector.url, "ratio": 1.0}
        logged = {"format": "json", "level": "debug"}
        shown = {"publish_metrics": True}
        new.write_text(yaml.safe_dump({"sites": sites, "log": logged, "tracing": tracing, "aggregate": shown}))
        new.rename(self.file)

    def said(self, name: str, line: str) -> None:
        """Keep a service's line; the server's own, of whoever was refused, have numbers of connections in them."""
        if name != "nats-server":
            self.lines.append(line)

    def row(self, subject: str, message) -> None:
        """Keep a row of `moretta up`, and the live table that it makes of the row's site."""
        self.rows.append(json.dumps({"subject": subject, "message": to_builtins(message)}))
        if isinstance(message, WindowV1 | AlertV1):
            self.views[message.site].take(message)
            known = [convert(one, SiteSettings) for one in self.sites]
            self.tables[message.site].append(doors.table(self.views[message.site], known))

    def scenes(self):
        """Yield each site's name, its people, and how many faces come too late."""
        yield "north", SCENE, 3
        yield "south", SAME.get(self.profile, SCENE[1:] + SCENE[:1]), 5
        if len(self.sites) > 2:
            yield "wide", WIDE, 0

    async def until(self, condition, what: str) -> None:
        """Wait for a condition; past the limit with what the services said last."""
        await until(condition, lambda: f"{what}; said: {self.lines[-10:]}", 90, every_s=0.1)

    async def running(self) -> bool:
        """Whether all runs and each site's own cameras, which see nothing, have begun its windows.

        Else a site might have a window or two of before its people, and its twin none.
        """
        told = doors.logged(self.lines)
        ready = {line.get("service") for line in told if line.get("event") == "running"} >= set(doors.SERVICES)
        return ready and {(one["id"], camera) for one in self.sites for camera in CROWD} <= self.view.cameras.keys()

    @property
    def zones(self) -> list[str]:
        return ["_site"] if self.profile == "fr-2021-269" else ["_site", "hall", "quay"]

    @property
    def asked(self) -> tuple[int, int]:
        return self.start - WINDOW, self.start + 6 * WINDOW

    async def bus(self, identity) -> Bus:
        return await Bus.connect(self.box.nats(identity), identity)


async def forced(house: House, ears: dict[str, doors.Ear]) -> None:
    """Try to force the doors: a file with what is forbidden, messages that claim to be a lab's, streams of others."""
    if house.profile in FORBIDDEN:
        house.write([{**one, **FORBIDDEN[house.profile]} for one in house.sites])

        async def refused() -> bool:
            return "under the profile" in await doors.readiness(house.box, "aggregate")

        await house.until(refused, "the forbidden settings refused")
    lab = SiteConfigV1(site="north", sha256="0" * 64, config=json.dumps({"site": "north", "profile": "lab"}))
    window = WindowV1(site="north", zone="hall", profile="lab", start=house.start, end=house.start + WINDOW, persons=1)
    forged = {SITE_CONFIG.of(lab): encode(SITE_CONFIG, lab), WINDOWS.of(window): encode(WINDOWS, window)}
    others = [f"$JS.API.{what}" for what in ("INFO", "STREAM.NAMES", "STREAM.LIST")]
    for name in ("SIGHTINGS", "PASSAGES", "DRIFT"):
        others += [f"$JS.API.STREAM.MSG.GET.{name}", f"$JS.API.DIRECT.GET.{name}", f"$JS.API.CONSUMER.CREATE.{name}"]
    counting = [f"$JS.API.STREAM.INFO.{name}" for name in ("PASSAGES", "DRIFT", "SIGHTINGS")]
    for identity, ear in ears.items():
        asked = others + counting[: 2 if identity in {"ingest", "inference"} else 3]
        for subject, data in {**forged, **dict.fromkeys(asked, b"{}")}.items():
            await ear.client.publish(subject, data, reply=f"_INBOX_{identity}.x")
        for subject in (">", "moretta.v1.passages.*", "$JS.EVENT.>", "$SYS.>"):
            await ear.client.subscribe(subject)
        if identity == "ingest":  # its own subject in the stream, with a configuration in it
            await ear.client.publish(CAMERA_EVENTS.subject(site="north"), encode(SITE_CONFIG, lab))
        await ear.settle()
        denied = {s.lower() for s in (*forged, *asked, ">", PASSAGES.wildcard(), "$JS.EVENT.>", "$SYS.>")}
        if identity == "subscriber":  # in whose account there is none of it
            denied = {s.lower() for s in (*forged, ">", "$JS.EVENT.>", "$SYS.>")}
        assert ear.denied == denied


async def played(house: House) -> None:
    """Let every site's people come, and wait until all of it is published."""
    inference, ingest = await house.bus("inference"), await house.bus("ingest")
    try:
        for name, windows, late in house.scenes():
            await crowd.play(inference, ingest, crowd.scene(name, house.start, windows, late))
    finally:
        await inference.close()
        await ingest.close()

    async def published() -> bool:
        last = {name: house.start + len(windows) * WINDOW for name, windows, _ in house.scenes()}
        ends = {name: house.view.windows.get((name, "_site")) for name in last}
        return all(window is not None and window.end >= last[name] for name, window in ends.items())

    async def traced() -> bool:
        told = {name: house.collector.named("aggregate.window", site=name, zone="_site") for name in house.tables}
        return all(len(told[name]) >= len(windows) for name, windows, _ in house.scenes())

    await house.until(published, "every window published")
    await house.until(traced, "every window traced")


async def commands(house: House, name: str) -> tuple[str, str]:
    """Return what `moretta stats` prints of a site, and its chart as text of bytes, with every site's name the same."""
    since, until = (datetime.fromtimestamp(at / 1e9, UTC).isoformat() for at in house.asked)
    about = (name, "-c", house.box.operator_file, "--from", since, "--to", until)
    forms = [("table", "window"), ("csv", "window"), ("json", "hour"), ("json", "window", "--zone", "hall")]
    runs = [await doors.command(*about, "--format", form, "--step", *step) for form, *step in forms]
    assert [run.returncode for run in runs] == [0, 0, 0, 2 if house.profile == "fr-2021-269" else 0], runs
    reply = structs.replace(decode_as(StatsReplyV1, "json", runs[2].stdout.encode()), site="site")
    # In a thread: NATS closes a connection whose loop does not answer its pings for 4 s.
    await asyncio.to_thread(chart, reply, house.file.with_suffix(".png"))
    return "\n".join(run.stdout + run.stderr for run in runs), house.file.with_suffix(".png").read_bytes().hex()


_TRACE = re.compile(r"00-[0-9a-f]{32}-[0-9a-f]{16}-0[0-9a-f]")


async def opened(house: House, ears: dict[str, doors.Ear]) -> dict[str, dict[str, str]]:
    """Return what leaves by each door, by site."""
    found: dict[str, dict[str, str]] = defaultdict(dict)
    subscriber = await house.bus("subscriber")
    try:
        for name in house.tables:
            replies = await doors.answers(subscriber, name, house.zones, *house.asked)
            found["queries"][name] = "\n".join(as_json(reply).decode() for reply in replies)
            found["commands"][name], found["charts"][name] = await commands(house, name)
            found["live table"][name] = "\n".join(house.tables[name])
        itself = await doors.of_itself(subscriber)
    finally:
        await subscriber.close()
    found["the service of itself"] = dict.fromkeys(house.tables, itself)
    heard = [msg for ear in ears.values() for msg in ear.once()]
    everything = {  # lists: how often the same is said may tell a number, too
        "messages": [f"{msg.subject} {msg.data.decode(errors='replace')}" for msg in heard],
        "headers": [_TRACE.sub("", f"{msg.subject} {json.dumps(dict(msg.headers or {}))}") for msg in heard],
        "traces": [f"{s.service} {s.name} {s.said} {bool(s.parent)} {len(s.links)}" for s in house.collector.spans],
        "metrics": [line for text in (await doors.metrics(house.box)).values() for line in text.splitlines()],
        "logs": [json.dumps(line) for line in doors.logged(house.lines)],
        "rows": house.rows,
    }
    for door, texts in everything.items():
        for name in house.tables:
            found[door][name] = "\n".join(sorted(text for text in texts if re.search(rf"\b{name}\b", text)))
    return found


PASSING = re.compile(
    r"_created|lag_seconds|replayed|fenced|moretta_(?!aggregate|drift|window)|moretta.v1.cameras|CameraV1|LEASES|_INBOX"
    r"|undecodable|window_delay"
)
"""What changes from moment to moment and is about no site's people: cameras' states, how far and how late aggregate is,
answers (they are looked at where they arrive), what was forged."""


def alike(text: str, name: str) -> str:
    """Return what left by a door with the site's name, what is hashed of it, and the passing moment taken out."""
    lines = [line for line in text.splitlines() if not PASSING.search(line)]
    lines = [line for line in lines if '"service": ' not in line or '"service": "aggregate"' in line]
    named = "\n".join(lines).replace(f"{name} (whole", "site (whole")
    return re.sub(r'\b[0-9a-f]{64}\b|"messages": \d+|Sequence": "\d+', "", re.sub(rf"\b{name}\b", "site", named))


def public(texts: Iterable[str]) -> list[dict]:
    """Return the windows, alerts, changes of rules and periods in what left."""
    found = [in_ns(json.loads(text[text.index("{") :])) for text in texts if '"type":' in text]
    periods = [period for message in found for period in message.get("periods", [])]
    return [m for m in [*found, *periods] if m.get("type") in {"WindowV1", "AlertV1", "RuleStateV1", "PeriodV1"}]


@pytest.fixture(name="house")
async def _house(request, tmp_path):
    """A box that has counted, with every door tried by force before; it has ended when what left it is searched."""
    house, ears = House(tmp_path, request.param), {}
    async with house.collector, house.box as box:
        bus = await listen(box, house.view, house.row)
        try:
            await house.until(house.running, "everything runs")
            ears = {identity: await doors.listen(box, identity) for identity in doors.OTHERS}
            await forced(house, ears)
            await played(house)
            found = await opened(house, ears)
        finally:
            for ear in ears.values():
                await end_client(ear.client, 10)
            await bus.close()
    return house, found


@pytest.mark.timeout(300)
@pytest.mark.parametrize("house", ["fr-2021-269", "stats-only", "alerting"], indirect=True)
async def test_no_door_lets_out_what_is_forbidden(house):
    """By the words of the profile, by numbers that occur nowhere else, and by two sites that must look the same."""
    house, found = house
    for door, texts in found.items():
        for name, text in texts.items():
            assert text or door == "metrics", f"nothing of {name} came through: {door}"
            assert [n for n in NEEDLES[house.profile] if doors.holds(text, n)] == [], (door, name)
    for name in house.tables:
        left = public([*found["messages"][name].splitlines(), *found["queries"][name].splitlines()])
        assert {why for message in left for why in legal.breaches(message)} == set()
        assert {m.get("profile", house.profile) for m in left} == {house.profile}
        assert legal.subtraction(m for m in left if m["type"] == "WindowV1") == []
        assert doors.windows_measured(found["metrics"][name]) == doors.windows_told(left)
    for door in sorted(found.keys() - {"the service of itself"}) if house.profile in SAME else ():
        north, south = (alike(found[door][name], name).splitlines() for name in TWINS)
        assert north == south, (door, Counter(north) - Counter(south), Counter(south) - Counter(north))
    assert not re.search("tracestate|baggage", "".join(found["headers"].values()), re.IGNORECASE)
    alerts = [m["persons"] for m in public(found["messages"]["north"].splitlines()) if m["type"] == "AlertV1"]
    assert (alerts and min(alerts) >= 20) if house.profile == "alerting" else not alerts


@pytest.mark.timeout(300)
@pytest.mark.parametrize("house", ["lab"], indirect=True)
async def test_in_the_lab_every_door_is_open(house):
    """The same search finds the same numbers where they may be, the same comparison sees what differs, and the same
    words, of another profile, forbid what is there."""
    house, found = house
    for door in ("messages", "queries", "commands", "rows", "live table"):
        wanted = [500, 480] if door == "live table" else [500, *CROWD[HALL]]
        assert [n for n in wanted if not doors.holds(found[door]["north"], n)] == [], door
    for door in ("messages", "queries", "commands", "charts", "live table", "rows"):
        assert alike(found[door]["north"], "north") != alike(found[door]["south"], "south"), door
    left = public(found["messages"]["north"].splitlines())
    measured = doors.windows_measured(found["metrics"]["north"])
    assert measured == doors.windows_told(left)
    assert {measured[zone, "persons"] for zone in ("hall", "quay", "_site")} == {23, 163, 186}
    assert {m["type"] for m in left} >= {"WindowV1", "AlertV1", "RuleStateV1"}
    assert {m["persons"] for m in left if m["type"] == "AlertV1"} >= {19}
    for profile in NEEDLES:
        assert [why for m in left for why in legal.breaches({**m, "profile": profile})]
    windows = [{**m, "profile": "stats-only"} for m in left if m["type"] == "WindowV1"]
    shown = [{**m, "persons": None} if m["zone"] == "hall" and (m["persons"] or 0) < 10 else m for m in windows]
    assert legal.subtraction(shown)


MISTAKES = [(profile, key, value) for profile, asked in FORBIDDEN.items() for key, value in asked.items()]


@pytest.mark.parametrize(("profile", "key", "value"), [*MISTAKES, ("labs", "zones", [])])
async def test_a_file_that_asks_for_what_is_forbidden_starts_nothing(tmp_path, profile, key, value):
    """One line with the path, no traceback, exit code 2: of aggregate, and of `moretta up` before anything runs."""
    file = tmp_path / "settings.yaml"
    file.write_text(yaml.safe_dump({"sites": [{**site("north", profile), key: value}]}))
    with Program(warm(SERVICES).start("services.aggregate", ["-c", str(file)])) as aggregate:
        assert await asyncio.to_thread(aggregate.ended) == 2
    up = await asyncio.to_thread(moretta, "up", "-c", file, strict=False)
    assert up.returncode == 2, up.stderr
    for said in ("\n".join(aggregate.words), up.stderr):
        assert "Traceback" not in said
        assert f"{file}: sites[0].{'profile' if profile == 'labs' else key}" in said
