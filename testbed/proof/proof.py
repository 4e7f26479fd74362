"""One run of the proof: makes the film, observes the box while it runs, plants the canaries, and judges."""

import asyncio
import os
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp
import yaml

from operate.box.box import Box
from operate.settings_file import require
from proto.subjects import DRIFT
from testbed.proof import disk, memory
from testbed.proof.capture import Capture, CaptureError
from testbed.proof.core.verdicts import Findings, left_out
from testbed.proof.disk import Disk
from testbed.proof.planting import PlantingPlaces, canary_image, planted
from testbed.proof.search import Search
from testbed.proof.secret import FilmNeedles
from testbed.proof.site import FPS, LONG_SIDE, SECONDS, Surroundings, make_film, make_stream, rate, settings
from testbed.proof.story import PROGRAMS, Story, StoryError
from testbed.proof.taps import Taps, TapSearch
from testbed.servers.http_camera import stream_camera
from testbed.servers.mail import MailServer
from testbed.servers.server import TcpServer
from testbed.servers.sms import SmsGateway

SECONDS_OF_WORK = 15.0
_PLANTER = "planter"


@dataclass
class ProofOptions:
    """The options of a run. Only tests set `leak`: it plants rows of the real film once everything works."""

    seconds: float = SECONDS_OF_WORK
    without: tuple[str, ...] = ()
    isolated: bool = False
    """Whether only this run uses the network that it sees."""
    trouble: bool = True
    """Whether to kill every program once, too."""
    seed: int = field(default_factory=lambda: time.time_ns() & 0x7FFFFFFF)
    leak: "Callable[[Proof], Awaitable[None]] | None" = None


class Proof:
    """A run in a scratch folder, which the caller removes."""

    def __init__(
        self, scratch: Path, options: ProofOptions, on_event: Callable[[str], None], secret: FilmNeedles
    ) -> None:
        self._scratch, self._options, self._show, self.secret = scratch, options, on_event, secret
        self._events: list[str] = []
        self._faults: list[str] = []
        self.search = Search(secret)
        self._watch = TapSearch(self.search)
        self._disk = Disk(self.search, scratch)
        self._image = canary_image()
        self.search.plants_image(self._image)
        left_out(self.search.places.values(), options.without)
        self.on_event(f"a film of {secret.pictures} pictures, {len(secret.needles)} needles of them and their packets")

    def on_event(self, text: str) -> None:
        """Report an event."""
        self._events.append(text)
        self._show(text)

    async def run(self, film: Path, stream: Path, began: float) -> Findings:
        """Run the whole proof and return its findings."""
        self._probe()
        with self._environment(), self._captured():
            async with TcpServer(stream_camera(stream, rate(stream)).connected) as camera, self._receivers() as around:
                if self._capture is not None:
                    self._capture.known.add(camera.port)
                story = await self._live(camera, Surroundings(_url(camera), film, *around))
        await asyncio.to_thread(self._disk.folder)
        if self._is_traced:
            await asyncio.to_thread(self._disk.traced, _PLANTER)
        return self._judged(story, time.monotonic() - began)

    def _probe(self) -> None:
        """Record before the run which places can't be searched on this machine."""
        why = disk.why_not()
        self._is_traced = why is None
        if why is not None:
            self.search["strace"].miss(why)
            self.search["cores"].miss(f"{why}; it has the kernel's word on a crash")
        if (why := memory.may_read()) is not None:
            for name, place in self.search.places.items():
                if name.startswith("memory"):
                    place.miss(why)

    @contextmanager
    def _environment(self) -> Iterator[None]:
        """Make programs create their temporary files, and matplotlib's list of fonts, in a folder that is searched."""
        before = {name: os.environ.get(name) for name in ("TMPDIR", "MPLCONFIGDIR")}
        os.environ |= dict.fromkeys(before, str(self._disk.box / "tmp"))
        try:
            yield
        finally:
            for name, value in before.items():
                del os.environ[name]
                if value is not None:
                    os.environ[name] = value

    @contextmanager
    def _captured(self) -> Iterator[None]:
        self._capture: Capture | None = None
        place = self.search["network"]
        try:
            with Capture(lambda way, data: self.search.raw("network", way, data, pieces=0)) as self._capture:
                yield
        except CaptureError as error:
            place.miss(str(error))
            yield
            return
        place.searched(0, self._capture.packets)
        if self._options.isolated:
            place.notes.append("in a network of its own, in which every address leads back to this machine")
            for address in self._capture.outwards:
                place.hit(f"something was sent to {address}")
        if self._capture.dropped:
            place.miss(f"{self._capture.dropped} packets came too fast to be seen")

    @asynccontextmanager
    async def _receivers(self) -> AsyncIterator[tuple[int, str]]:
        watch = self._watch
        async with MailServer(self._scratch / "mails", watch.mail) as mails, SmsGateway(watch.request) as sms:
            yield mails.port, sms.url

    def _under(self, name: str) -> list[str]:
        if not self._is_traced:
            return []
        return disk.prefix(self._disk.traces / f"{name}-{time.monotonic_ns()}.strace")

    async def _live(self, camera: TcpServer, around: Surroundings) -> Story:
        """Run the box, and the story in it."""
        file = self._disk.box / "settings.yaml"
        file.write_text(yaml.safe_dump(settings(around)))
        require(file)
        watch = self._watch
        async with Box(self._disk.box, file, on_line=watch.line, under=self._under) as self.box:
            story = Story(self.box, camera, self.search, self.on_event, watch)
            watch.public = story.take
            self.ground = PlantingPlaces(
                self._scratch, self._disk.box, around.smtp_port, around.sms, self._under, watch.line
            )
            try:
                async with Taps(self.box, watch.message) as self.taps, AsyncExitStack() as self.closing:
                    await story.work(self._options.seconds)
                    async with planted(_PLANTER, self.search.rows, self._image, self.ground) as url:
                        await self._canaries(url)
                        await self._run_story(story)
                    self._heard()
            except StoryError as error:
                self._faults.append(str(error))
        return story

    async def _canaries(self, url: str) -> None:
        """Search the planter's page. Publish a canary to a stream on disk, for a site that no service reads."""
        async with aiohttp.ClientSession() as session, session.get(url) as answer:
            self.search.text("metrics", "planter/metrics", await answer.read())
        subject = DRIFT.subject(site="planted", camera="canary", day="2026-01-01")
        await self.taps.of("aggregate").publish(subject, self.search.rows["bus"] + self.search.rows["jetstream"])

    async def _run_story(self, story: Story) -> None:
        """Run the steps that follow once everything works."""
        await story.look_while_running()
        await story.pages()
        if self._options.trouble:
            await story.pause()
            await story.resume()
            await story.end_camera()
            for name in PROGRAMS:
                await story.kill(name)
            await story.freeze("inference")
        if self._options.leak is not None:
            await self._options.leak(self)
        await story.join(self.taps)
        for name in ("ingest", "inference"):
            await story.crash(name)
        await story.pause()
        await story.pages()
        await story.reckon()
        await asyncio.to_thread(self._disk.folder)

    def _heard(self) -> None:
        """Record the users that listened on the bus."""
        place, taps = self.search["bus"], self.taps.all
        asked, refused = sum(tap.asked for tap in taps), sum(len(tap.refused) for tap in taps)
        users, frames = ", ".join(tap.user for tap in taps), self._watch.frames
        place.notes.append(f"as {users}: {asked} subscriptions, {refused} refused; {frames} sealed frames heard")
        if not frames:
            place.miss("no frame was heard")

    def _judged(self, story: Story, seconds: float) -> Findings:
        return Findings(
            places=list(self.search.places.values()),
            lifetime=story.calm,
            troubled=story.troubled,
            needles=len(self.secret.needles),
            pictures=self.secret.pictures,
            packets=self.secret.packets,
            seconds=seconds,
            story=self._events,
            faults=self._faults,
        )


def _url(camera: TcpServer) -> str:
    return f"http://127.0.0.1:{camera.port}/proof.ts"


async def prove(scratch: Path, options: ProofOptions, on_event: Callable[[str], None]) -> Findings:
    """Make the film, run the proof on it, and return the findings."""
    began = time.monotonic()
    film, stream, secret = await asyncio.to_thread(_film, scratch, options.seed)
    return await Proof(scratch, options, on_event, secret).run(film, stream, began)


def _film(scratch: Path, seed: int) -> tuple[Path, Path, FilmNeedles]:
    film = make_film(scratch / "film.mp4", seed)
    stream = make_stream(film, scratch / "stream.ts")
    secret = FilmNeedles()
    secret.take(film, LONG_SIDE, FPS * SECONDS)
    secret.take(stream, LONG_SIDE, FPS * SECONDS, packets_alone=True)
    return film, stream, secret
