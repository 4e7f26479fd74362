"""A disk that is full: what gives way, what says so, and that nothing that was promised is lost once there is room."""

import asyncio
import contextlib
import json
from datetime import UTC, datetime
from itertools import pairwise

import pytest
import yaml
from clips import make_clip
from command_line import moretta
from lively_site import SECOND, WINDOW_S, lively
from site_process import Site
from small_disk import fill, small_disk
from up_process import UpProcess

from operate.box.machine import has_room


def test_a_disk_that_takes_no_more_files_has_no_room(tmp_path):
    """Else nats-server would be started anew again and again, each time without what is in memory."""
    with small_disk(tmp_path / "js", "200m,nr_inodes=8") as disk:
        assert has_room(disk)
        with contextlib.suppress(OSError):
            for number in range(8):
                (disk / str(number)).touch()
        assert not has_room(disk)


@pytest.mark.timeout(400)
@pytest.mark.first
async def test_windows_and_alerts_wait_for_room(tmp_path):
    """aggregate says that it can't store, keeps what is closed, and stores it when the server is well again.

    Without a restart of any service: windows are all there, each once; nobody is told twice.
    """
    with small_disk(tmp_path / "js", "16m") as disk:
        async with lively(tmp_path) as ground:
            ground.start()

            async def told() -> bool:
                return len(ground.mails) >= 2 and len(await ground.windows()) >= 3

            await ground.until(told, "alerts told")
            aggregate = ground.running[0]
            before = await ground.windows()  # a server whose disk is full may answer no question about its streams
            ballast = fill(disk)

            async def said() -> bool:
                status, page = await asyncio.to_thread(aggregate.get, "/readyz")
                return status == 503 and "NATS takes no message for" in page and "is its disk full?" in page

            await ground.until(said, "that nothing is stored is told", 90)
            assert aggregate.metric("moretta_bus_unstored_seconds") > 0
            stored = len(aggregate.said("window published"))
            await asyncio.sleep(2 * WINDOW_S)
            assert len(aggregate.said("window published")) == stored, "nothing is stored on a full disk"
            ballast.unlink()
            await asyncio.to_thread(ground.site.server.stop)
            await asyncio.to_thread(ground.site.server.start)

            async def goes_on() -> bool:
                status, _ = await asyncio.to_thread(aggregate.get, "/readyz")
                return status == 200 and len(await ground.windows()) >= len(before) + 4

            await ground.until(goes_on, "windows again, and all ready", 120)
            starts = await ground.windows()
            mails = len(ground.mails)
            assert starts[: len(before)] == before
            assert {b - a for a, b in pairwise(starts)} == {WINDOW_S * SECOND}, (
                f"lost, twice, or out of order: {starts}"
            )
            assert mails == 2, [str(mail.message["Subject"]) for mail in ground.mails]
            assert aggregate.metric("moretta_bus_unstored_seconds") == 0
            ground.masked = True

            async def over() -> bool:
                return len(ground.mails) >= mails + 2

            await ground.until(over, "that both are over is told")
            await ground.stop()


@pytest.mark.timeout(300)
def test_a_box_starts_its_server_anew_when_there_is_room(tmp_path):
    """`moretta up` without a hand: what could not be written takes nothing until then."""
    clip = make_clip(tmp_path / "clip.mp4")
    site = {
        "id": "s",
        "profile": "lab",
        "window_s": 3,
        "lateness_s": 1,
        "cameras": [{"id": "a", "url": str(clip), "loop": True}],
    }
    file = tmp_path / "settings.yaml"
    file.write_text(yaml.safe_dump({"sites": [site]}))
    with small_disk(tmp_path / "data", "128m") as disk:
        run = UpProcess(["-c", str(file), "--data", str(disk)]).start()
        try:
            run.wait_for(lambda: len(run.windows()) >= 2, 90, "two windows")
            ballast = fill(disk)
            run.wait_for(lambda: any("no space left on device" in line for line in run.words), 90, "the server says so")
            ballast.unlink()
            run.wait_for(lambda: any("is started anew" in line for line in run.words), 30, "a new start")
            seen = len(run.windows())
            run.wait_for(lambda: len(run.windows()) >= seen + 3, 90, "windows again")
            heard = run.windows()
            first, last = (datetime.fromtimestamp(at / SECOND, UTC) for at in (heard[0]["start"], heard[-1]["end"]))
            about = ("--from", first.isoformat(), "--to", last.isoformat(), "--step", "total", "--format", "json")
            told = moretta("stats", "s", "-c", disk / "identities/operator.yaml", *about)
        finally:
            run.stop()
    [whole] = json.loads(told.stdout)["periods"]
    due = (last - first).total_seconds() / 3
    assert (whole["windows_expected"], whole["windows_published"]) == (due, due), told.stdout
    starts = [window["start"] for window in heard]
    assert starts == sorted(starts)
    # Who listens live hears each attempt to store, with the same bytes; the stream has it once.
    assert all(one == other for one, other in pairwise(heard) if one["start"] == other["start"])


def _small(config: str) -> str:
    whole = json.loads(config)
    whole["jetstream"]["max_file_store"] = 100_000_000
    return json.dumps(whole)


async def test_limits_that_hold_no_streams_are_a_mistake_that_is_named(tmp_path):
    """aggregate ends with one line that says what JetStream needs, and exit code 2."""
    site = Site(tmp_path, extend=_small)
    site.server.start()
    site.write({"log": {"format": "json"}, "sites": [{"id": "market", "cameras": []}]})
    try:
        aggregate = site.start("aggregate")
        assert await asyncio.to_thread(aggregate.ended) == 2
    finally:
        await asyncio.to_thread(site.close)
    (line,) = aggregate.said("cannot start")
    assert "insufficient storage resources available" in line["error"]
    assert "max_file_store 644 MB" in line["error"]
