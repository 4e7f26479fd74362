"""`moretta pause` and `moretta resume` as people type them, with the real ingest on a real server."""

import asyncio
import contextlib
import signal
import time

import clips
import pytest
from command_line import moretta
from patience import patient, until
from site_process import Site

from operate.identities import settings_file
from proto.subjects import CAMERAS, PAUSE_STATE

pytestmark = pytest.mark.xdist_group("cli-orders")


class OperatedSite:
    """A site with two cameras, an operator's file and the commands."""

    def __init__(self, site, path):
        self.site, self.path = site, path

    async def say(self, *arguments):
        """Run a command beside the loop; returns its one line on standard output."""
        run = await asyncio.to_thread(moretta, *arguments, "-c", self.path, "--operator", "ana@example.org")
        assert run.returncode == 0, run.stderr
        return run.stdout.rstrip("\n")

    async def states(self):
        """Each camera's public state and reason."""
        async with self.site.bus("operator") as bus:
            found = [await bus.last(CAMERAS, site="cannes", camera=name) for name in ("gate", "hall")]
        return [(one.message.state, one.message.reason) if one else None for one in found]

    async def until(self, *states):
        async def are_such() -> bool:
            return [state for state, _ in filter(None, await self.states())] == list(states)

        await until(are_such, f"cameras that are {states}", every_s=0.1)


@pytest.fixture(name="ground", scope="module")
def _ground(tmp_path_factory):
    """Both cameras are live, and every test leaves them so."""
    with operated(tmp_path_factory.mktemp("orders")) as site:
        yield site


@contextlib.contextmanager
def operated(folder):
    """A site whose cameras are live."""
    site = Site(folder)
    clip = clips.make_clip(folder / "clip.mp4", width=160, height=96, pictures=50)
    site.server.start()
    path = site.identities.write("operator.yaml", settings_file(site.server.url, "operator"))
    cameras = [{"id": name, "url": str(clip), "loop": True, "long_side": 160} for name in ("gate", "hall")]
    site.write({"sites": [{"id": "cannes", "cameras": cameras}], "log": {"format": "json"}})
    try:
        site.start("ingest").wait_for("camera live", 2)
        yield OperatedSite(site, path)
    finally:
        site.close()


async def test_one_camera_is_paused_and_stays_so(tmp_path):
    """The order holds for that camera alone, over a restart and over the whole site's own orders."""
    with operated(tmp_path) as ground:
        await _paused_over_a_restart(ground)


async def _paused_over_a_restart(ground):
    assert await ground.say("pause", "cannes", "gate", "--why", "asked to") == "cannes: paused are gate"
    given = time.monotonic()
    await ground.until("paused", "live")
    assert time.monotonic() - given < patient(5)
    assert await ground.say("pause", "cannes") == "cannes: every camera is paused; for themselves also gate"
    await ground.until("paused", "paused")
    assert await ground.say("resume", "cannes") == "cannes: paused are gate"
    await ground.until("paused", "live")

    assert await asyncio.to_thread(ground.site.services[-1].stop) == 0
    again = ground.site.start("ingest")
    await until(lambda: again.said("paused by an operator") and again.said("camera live"), again.last_words)
    await ground.until("paused", "live")
    (line,) = again.said("paused by an operator")
    assert (line["operator"], line["cameras"], line["whole_site"]) == ("ana@example.org", ["gate"], False)

    assert await ground.say("resume", "cannes", "gate") == "cannes: goes on; no order to pause is in force"
    await ground.until("live", "live")
    async with ground.site.bus("operator") as operator:
        audit = [s.message for s in await operator.history(PAUSE_STATE, site="cannes")]
    assert [(m.action, m.camera, m.why) for m in audit] == [
        ("pause", "gate", "asked to"),
        ("pause", None, ""),
        ("resume", None, ""),
        ("resume", "gate", ""),
    ]
    assert all(m.operator == "ana@example.org" and m.at > 0 for m in audit)


async def test_a_pause_that_nats_does_not_store(tmp_path):
    """It is in force, and said to be no more than that; it is stored as soon as NATS does, once, and then it lasts."""
    with operated(tmp_path) as ground:
        ingest = ground.site.services[-1]
        await _takes(ground, "moretta.v1.control.nowhere.state")
        run = await asyncio.to_thread(moretta, "pause", "cannes", "gate", "-c", ground.path)
        assert (run.returncode, run.stdout) == (1, "cannes: paused are gate\n"), run.stderr
        (said,) = run.stderr.splitlines()
        assert said.startswith("moretta pause: in force, but not recorded yet: NATS does not store it.")
        await ground.until("paused", "live")
        assert len(ingest.said("order not recorded yet")) == 1
        assert ingest.metric("moretta_bus_unstored_seconds") > 0
        await _takes(ground, PAUSE_STATE.wildcard())
        await until(lambda: ingest.said("pause by an operator"), ingest.last_words)
        assert ingest.metric("moretta_bus_unstored_seconds") == 0
        ingest.signal(signal.SIGKILL)
        again = ground.site.start("ingest").wait_for("paused by an operator")
        assert again["cameras"] == ["gate"]
        async with ground.site.bus("operator") as operator:
            assert len(await operator.history(PAUSE_STATE, site="cannes")) == 1


async def _takes(ground, subject):
    """Have the stream of orders take this subject alone: while it is another one, nothing stores an order."""
    async with ground.site.bus("aggregate") as owner:
        config = (await owner.streams.js.stream_info("CONTROL")).config
        await owner.streams.js.update_stream(config.evolve(subjects=[subject]))


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("pause", "cannes", "gaet"), "moretta pause: site 'cannes' has no camera 'gaet'; it has gate, hall"),
        (("pause", "lyon"), "moretta pause: no ingest serves site 'lyon'; nothing was changed"),
        (("pause", "Cannes!"), "moretta pause: site: must be 1-32 of a-z, 0-9 and inner hyphens, got 'Cannes!'"),
        (("resume", "cannes", "--why", "x" * 300), "moretta resume: why: must be a text with at most 200 characters"),
    ],
)
async def test_mistakes_are_one_line(ground, arguments, told):
    """A camera, a site or a text that cannot be is told in one line, exit code 2, and nothing changes."""
    run = await asyncio.to_thread(moretta, *arguments, "-c", ground.path)
    assert (run.returncode, run.stdout, len(run.stderr.splitlines())) == (2, "", 1), run.stderr
    assert run.stderr.startswith(told)
    assert [state for state, _ in await ground.states()] == ["live", "live"]


async def test_a_subscriber_pauses_nothing(ground):
    """The order needs the operator identity: a reader's password is not enough."""
    reader = ground.path.with_name("reader.yaml")
    reader.write_text(ground.path.read_text().replace("operator", "subscriber"))
    run = await asyncio.to_thread(moretta, "pause", "cannes", "-c", reader)
    assert run.returncode == 2
    assert run.stderr.splitlines()[-1].startswith("moretta pause: ingest did not confirm it")
    assert "Traceback" not in run.stderr
    assert [state for state, _ in await ground.states()] == ["live", "live"]


@pytest.mark.parametrize("command", [("pause", "cannes"), ("stats", "cannes"), ("silence", "list")], ids=" ".join)
def test_nats_that_is_not_there(tmp_path, command):
    """Soon one line says what was tried and what went wrong; a password in the address is not shown."""
    file = tmp_path / "operator.yaml"
    file.write_text('nats: {url: "nats://ana:hunter2@127.0.0.1:9"}')
    run = moretta(*command, "-c", file, limit_s=20)
    assert (run.returncode, run.stdout) == (2, "")
    (told,) = run.stderr.splitlines()
    assert (
        told == f"{file}: nats.url: nothing listens at nats://***@127.0.0.1:9; is NATS there, or `moretta up` running?"
    )


async def test_a_wrong_password(ground):
    """One line too, with NATS's own word for it."""
    wrong = ground.path.with_name("wrong.yaml")
    wrong.write_text(f"nats: {{url: '{ground.site.server.url}', user: operator, password: hunter2}}")
    run = await asyncio.to_thread(moretta, "pause", "cannes", "-c", wrong)
    (told,) = run.stderr.splitlines()
    assert run.returncode == 2
    assert "in 3 s (nats: 'Authorization Violation'); is NATS there, and are user and password" in told
    assert "hunter2" not in told
