"""`moretta prove` as a command: what it prints, its page in a browser, its exit codes."""

import asyncio
import itertools
import json
import os
import signal
import subprocess
from types import SimpleNamespace

import browser
import golden
import psutil
import pytest
from patience import patient, until

from proto.public import AlertV1, CameraV1
from services.kernel.settings import SettingsError
from testbed.proof import disk, memory, proof, story
from testbed.proof import report as command
from testbed.proof.capture import CaptureError
from testbed.proof.core.verdicts import Findings, LifetimeCounts, SearchedPlace
from testbed.proof.proof import Proof, ProofOptions
from testbed.proof.report import page
from testbed.proof.search import PLACES, WITHOUT_CANARY, Search
from testbed.proof.secret import FilmNeedles, Label
from testbed.proof.site import FILE, NETWORK
from testbed.proof.story import Story, StoryError

KEPT = LifetimeCounts({20.0: 60.0, 50.0: 99.0, 100.0: 100.0}, 100.0)


def findings(*, leak: bool = False) -> Findings:
    places = [SearchedPlace(name, what, "files", 12_345, 1_234_567, canary=True) for name, what in PLACES.items()]
    places += [
        SearchedPlace(name, what, "processes", 1, 9, canary=None, allowed=24) for name, what in WITHOUT_CANARY.items()
    ]
    places[-2].hit("services.ingest: packet", 9)
    places[0].notes.append("a note of some length, which is to be read beside what was searched")
    if leak:
        places[0].hit("box/" + "a-file-with-a-long-name" * 8, 3)
        places[1].canary = False
        places[2].miss("strace is missing: install it")
        places[3].left_out = True
    return Findings(places, KEPT, LifetimeCounts(), 140_000, 96, 192, 60.0, ["a film was made", "all was searched"])


@pytest.fixture(name="run")
def _run(monkeypatch):
    """The command with the run itself replaced."""

    def run(found: Findings, *, report=None, as_json=False, without=()) -> int:
        async def proven(_scratch, options, tell):
            tell("it ran")
            assert options.without == tuple(without)
            return found

        monkeypatch.setattr(command, "run", proven)
        monkeypatch.setattr(command, "isolate", lambda: "not in a test")
        return command.prove(1.0, without, report, as_json=as_json)

    return run


def test_the_table_says_for_each_place_what_was_searched_found_and_planted(run, tmp_path, capsys):
    """Exit code 0 only for a whole proof; the story goes to standard error."""
    report = tmp_path / "proof.html"
    assert run(findings(), report=report) == 0
    told = capsys.readouterr()
    assert "it ran" in told.err
    assert all(name in told.out for name in (*PLACES, *WITHOUT_CANARY))
    assert "12 345 files, 1.2 MB" in told.out
    assert "as documented" in told.out
    assert "p50 at most 20 ms, p99 at most 50 ms, 100 pictures" in " ".join(told.out.split())
    assert "Nothing of any picture was found outside the documented working memory" in told.out
    assert report.read_text() == page(findings()) or "that no picture is kept" in report.read_text()


def test_what_is_wrong_is_in_the_table_and_in_the_exit_code(run, capsys):
    """Found, blind, not searched, left out: each in words."""
    assert run(findings(leak=True), without=["bus"]) == 1
    shown = capsys.readouterr().out
    assert all(word in shown for word in ("FOUND", "search is blind", "not searched", "left out"))
    assert "Not proven. files: FOUND; jetstream: search is blind; strace: not searched" in " ".join(shown.split())


def test_json_is_for_programs(run, capsys):
    """All of it on standard output, and nothing else."""
    assert run(findings(leak=True), as_json=True) == 1
    found = json.loads(capsys.readouterr().out)
    assert found["proven"] is False
    assert found["lifetime_ms"]["p50_at_most"] == 20.0
    assert [place["verdict"] for place in found["places"]][:4] == ["found", "blind", "not searched", "left out"]


@pytest.mark.parametrize("name", ["disk", "", "Files"])
def test_a_place_that_is_none_is_told_with_those_there_are(run, name):
    """Before anything is run."""
    with pytest.raises(SettingsError, match=r"is no place; there are files, jetstream.*memory-inference"):
        run(findings(), without=[name])


def test_a_report_that_cannot_be_written_is_told_before_the_run(run, tmp_path):
    """Not after a minute."""
    with pytest.raises(SettingsError, match="cannot be written"):
        run(findings(), report=tmp_path / "no-folder" / "proof.html")


async def test_the_page_can_be_read_by_everybody_from_a_phone_to_a_desktop(tmp_path):
    """No rule of axe-core is broken, and nothing is wider than the window; one that is good, and one that is bad."""
    browser.require()
    async with browser.chromium(tmp_path / "profile") as context:
        watched = browser.Watched(context.pages[0])
        for scheme, leak in itertools.product(("light", "dark"), (False, True)):
            await watched.page.emulate_media(color_scheme=scheme)
            await watched.page.set_content(page(findings(leak=leak)))
            for width in (768, 1280, 320):
                await watched.page.set_viewport_size({"width": width, "height": 900})
                assert await watched.page.evaluate("document.documentElement.scrollWidth") <= width
            await browser.accessible(watched.page)
        assert watched.complaints == []
        assert watched.requests == []


class Box:
    """What a story asks of a box."""

    def __init__(self, *, faults=()) -> None:
        self._faults = list(faults)

    def faults(self) -> list[str]:
        return self._faults

    def pids(self) -> dict[str, int]:
        return {}

    def probe_url(self, _name: str) -> str:
        return "http://127.0.0.1:9"


def telling(box: Box) -> Story:
    search = Search(FilmNeedles({bytes(range(32)): Label("decoded", 0)}))
    return Story(box, SimpleNamespace(), search, print, SimpleNamespace(mails=0, sms=0))


async def test_what_does_not_happen_in_time_is_named(monkeypatch):
    """A system in which no camera comes up is no proof."""
    monkeypatch.setattr(story, "_TIMEOUT_S", story._TIMEOUT_S / 10)
    with pytest.raises(StoryError, match="without success for: both cameras live"):
        await telling(Box()).work(1.0)


async def test_a_service_that_cannot_run_is_told_in_its_own_words():
    """At once, not after the limit."""
    with pytest.raises(StoryError, match="aggregate: no such setting"):
        async with asyncio.timeout(patient(5)):
            await telling(Box(faults=["aggregate: no such setting"])).work(1.0)


async def test_cameras_count_as_live_only_when_every_service_is_ready(monkeypatch):
    """A camera's last state is public before all are ready again."""
    one = telling(Box())
    for camera in (NETWORK, FILE):
        one.take(CameraV1(site="proof", camera=camera, state="live", since=1, at=2, fps=5.0))
    assert not await one._live(), "nobody answers at that port"

    async def ready() -> bool:
        return True

    monkeypatch.setattr(one, "_ready", ready)
    assert await one._live()
    one.take(CameraV1(site="proof", camera=FILE, state="paused", since=1, at=2, fps=5.0))
    assert not await one._live()
    assert (await one._lifetime()).total == 0, "where nobody answers no picture is counted"


@pytest.fixture(name="secret")
def _secret() -> FilmNeedles:
    return FilmNeedles({bytes(range(32)): Label("decoded", 0)}, pictures=1, packets=1, rows=[bytes(range(32))])


def probed(tmp_path, secret: FilmNeedles, without=()) -> dict[str, SearchedPlace]:
    made = Proof(tmp_path, ProofOptions(without=tuple(without)), lambda _text: None, secret)
    made._probe()
    return made.search.places


def test_what_this_machine_does_not_allow_was_not_searched(tmp_path, secret, monkeypatch):
    """Without strace and root: said of each place, which fails the proof unless the user does without it."""
    monkeypatch.setattr(disk, "why_not", lambda: "strace is missing")
    monkeypatch.setattr(memory, "may_read", lambda: "run it as root")
    places = probed(tmp_path, secret)
    for place in places.values():
        place.searched(1)
        place.canary = place.canary is None or None
    assert {name: place.found for name, place in places.items() if place.verdict == "not searched"} == {
        "strace": "strace is missing",
        "cores": "strace is missing; it has the kernel's word on a crash",
        **dict.fromkeys(("memory", "memory-nats", "memory-ingest", "memory-inference"), "run it as root"),
    }
    assert Proof._under(SimpleNamespace(_is_traced=False), "ingest") == [], "it is run without strace"


def test_who_does_without_a_place_still_fails_for_a_finding_in_it(tmp_path, secret):
    """Left out is what was not searched, not what was found."""
    places = probed(tmp_path, secret, without=["network", "strace"])
    assert (places["network"].verdict, places["strace"].verdict) == ("left out", "left out")
    places["network"].hit("port 1 to port 2")
    assert places["network"].verdict == "found"


def test_temporary_files_are_made_where_they_are_searched_and_only_meanwhile(tmp_path, secret, monkeypatch):
    """The variable is as before afterwards, also where there was none."""
    monkeypatch.delenv("TMPDIR", raising=False)
    made = Proof(tmp_path, ProofOptions(), lambda _text: None, secret)
    with made._environment():
        assert os.environ["TMPDIR"] == str(tmp_path / "box" / "tmp")
    assert "TMPDIR" not in os.environ
    monkeypatch.setenv("TMPDIR", "/somewhere")
    with made._environment():
        pass
    assert os.environ["TMPDIR"] == "/somewhere"


@pytest.mark.parametrize(("isolated", "expected"), [(True, {"something was sent to 192.0.2.7": 1}), (False, {})])
def test_what_leaves_a_network_of_its_own_is_a_finding(tmp_path, secret, monkeypatch, isolated, expected):
    """In a network that others use, whom they write to is none of ours; packets that were missed are told."""

    class Captured:
        def __init__(self, _take) -> None:
            self.packets, self.dropped, self.outwards = 7, 2, {"192.0.2.7"}

        def __enter__(self):
            return self

        def __exit__(self, *_) -> None:
            pass

    monkeypatch.setattr(proof, "Capture", Captured)
    made = Proof(tmp_path, ProofOptions(isolated=isolated), lambda _text: None, secret)
    with made._captured():
        pass
    place = made.search["network"]
    assert (place.hits, place.count) == (expected, 7)
    assert place.missing == ["2 packets came too fast to be seen"]


def test_who_may_not_capture_goes_on_and_is_told(tmp_path, secret, monkeypatch):
    """The rest of the proof is run all the same."""

    def refused(_take):
        raise CaptureError("run it as root")

    monkeypatch.setattr(proof, "Capture", refused)
    made = Proof(tmp_path, ProofOptions(), lambda _text: None, secret)
    ran = []
    with made._captured():
        ran.append(made._capture)
    assert ran == [None]
    assert made.search["network"].missing == ["run it as root"]


class Sleeper:
    """A box whose programs are `sleep`, each started anew a moment after it has ended."""

    def __init__(self) -> None:
        self.processes = {name: self._start() for name in ("ingest", "inference")}
        self.started = 2

    def _start(self) -> subprocess.Popen:
        return subprocess.Popen(["sleep", "600"])

    def faults(self) -> list[str]:
        return []

    def pids(self) -> dict[str, int]:
        for name, process in self.processes.items():
            if process.poll() is not None:
                self.processes[name] = self._start()
                self.started += 1
        return {name: process.pid for name, process in self.processes.items()}

    def close(self) -> None:
        for process in self.processes.values():
            process.kill()
            process.wait()


@pytest.fixture(name="struck")
def _struck(monkeypatch):
    """A story on such a box; cameras are live as soon as all programs run."""
    box = Sleeper()
    told: list[str] = []
    search = Search(FilmNeedles({bytes(range(32)): Label("decoded", 0)}))
    one = Story(box, SimpleNamespace(), search, told.append, SimpleNamespace(mails=1, sms=1))

    async def answer() -> bool:
        return True

    async def lifetime() -> LifetimeCounts:
        return KEPT

    monkeypatch.setattr(one, "_live", answer)
    monkeypatch.setattr(one, "_lifetime", lifetime)
    yield one, box, told, search
    box.close()


async def test_a_program_is_killed_and_is_back(struck):
    """Its lifetimes are kept before, ingest's alone."""
    one, box, told, _ = struck
    before = box.pids()
    await one.kill("ingest")
    assert box.pids()["ingest"] != before["ingest"]
    assert box.pids()["inference"] == before["inference"]
    assert one.troubled == KEPT
    await one.kill("inference")
    assert one.troubled == KEPT
    assert told == [f"{name} was killed (SIGKILL) and came back" for name in ("ingest", "inference")]


async def test_a_crash_is_counted_where_cores_are_looked_for(struck):
    """By SIGABRT, as a fault of its own ends a program."""
    one, box, told, search = struck
    ended = box.processes["inference"]
    await one.crash("inference")
    assert ended.returncode == -signal.SIGABRT
    assert search["cores"].count == 1
    assert told == ["inference crashed (SIGABRT) and came back"]


async def test_a_frozen_program_goes_on(struck, monkeypatch):
    """It is stopped meanwhile, and runs again in the end."""
    one, box, told, _ = struck
    monkeypatch.setattr(story, "_FROZEN_S", 0.4)
    process = box.processes["inference"]

    def is_stopped() -> bool:
        return psutil.Process(process.pid).status() == psutil.STATUS_STOPPED

    freezing = asyncio.create_task(one.freeze("inference"))
    await until(is_stopped, "that it is stopped", every_s=0.01)
    await freezing
    await until(lambda: not is_stopped(), "that it goes on", every_s=0.01)
    assert process.poll() is None
    assert told == ["inference was frozen (SIGSTOP) for 0.4 s"]


async def test_work_is_done_when_an_alert_has_come_by_mail_and_sms(struck):
    """And is measured from then on alone."""
    one, _, told, _ = struck
    working = asyncio.create_task(one.work(0.1))
    await asyncio.sleep(0.3)
    assert not working.done(), "no alert yet"
    one.take(next(message for message in golden.EXAMPLES if isinstance(message, AlertV1)))
    async with asyncio.timeout(patient()):
        await working
    assert (one.calm, len(told)) == (LifetimeCounts({20.0: 0.0, 50.0: 0.0, 100.0: 0.0}, 0.0), 2)
