"""`moretta backup` and `moretta restore` on a real server: a system runs, its store is wiped, and it goes on."""

import asyncio
import json
import shutil
import socket
import time

import msgspec
import pytest
import yaml
from command_line import moretta
from golden import BY_TYPE
from lively_site import SECOND, WINDOW_S, Ground, lively
from msgspec import structs
from nats_process import NatsProcess
from patience import patient, wait_until
from program import Program
from site_process import Site
from up_process import UpProcess

from operate.backup.backup_folder import described
from operate.backup.contents import LIST, Contents, with_digest
from operate.backup.snapshots import remove
from operate.box.programs import nats_server
from operate.identities import settings_file
from proto.notifications import SilenceV1
from proto.permissions import stream_info
from proto.stats import StatsReplyV1, StatsRequestV1
from proto.subjects import (
    AIM_RECORD,
    ALERTS,
    NOTIFICATIONS,
    OPERATIONS,
    PAUSE_STATE,
    RULES,
    SILENCES,
    STATS,
    STREAMS,
    WINDOWS,
)

KEPT = [stream.name for stream in STREAMS if stream.kept]


@pytest.fixture(name="ground")
async def _ground(tmp_path):
    async with lively(tmp_path) as ground:
        yield ground


async def contents(site: Site) -> dict[str, tuple]:
    """Of each stream that a backup has: how many messages, the last sequence, the times of the first and the last."""
    async with site.bus("backup") as bus:
        infos = {name: json.loads(await bus.ask(stream_info(name), timeout=patient(5))) for name in KEPT}
    names = ("messages", "last_seq", "first_ts", "last_ts")
    return {name: tuple(info["state"][one] for one in names) for name, info in infos.items() if "state" in info}


async def run(*arguments):
    return await asyncio.to_thread(moretta, *arguments)


@pytest.mark.timeout(300)
@pytest.mark.first
async def test_a_system_goes_on_after_its_store_was_wiped(ground: Ground, tmp_path):
    """No window twice, no alert told again, silences and orders in force, history there; then it tells what is new."""
    site, out = ground.site, tmp_path / "saved"
    site.server.make()
    now = time.time_ns()
    async with site.bus("operator") as bus:
        silence = SilenceV1(
            silence="0a0a0a0a",
            starts=now,
            ends=now + 3_600 * SECOND,
            operator="ana",
            why="known",
            rules=["quiet"],
        )
        await bus.store(SILENCES, silence)
    ground.start()

    async def told() -> bool:
        return len(ground.mails) >= 1 and ground.withheld() and len(await ground.windows()) >= 3

    await ground.until(told, "an alert told, another one withheld")
    assert (await run("restore", tmp_path / "none", "-c", ground.file())).returncode == 2
    saved = await run("backup", "--out", out, "-c", ground.file())
    assert saved.returncode == 0, saved.stderr
    assert f"{out}: whole" in saved.stdout
    known = await ground.windows()
    busy = await run("restore", out, "-c", ground.file(), "--replace")
    assert busy.returncode == 2
    assert "still at work: aggregate, notify" in busy.stderr
    mails = len(ground.mails)
    await ground.stop()

    site.server.stop()
    shutil.rmtree(tmp_path / "js")
    site.server._wanted = False  # nobody makes streams: they come back from the backup
    site.server.start()
    back = await run("restore", out, "-c", ground.file())
    assert back.returncode == 0, back.stderr
    restored = await ground.windows()
    assert restored == known[: len(restored)]
    assert len(restored) >= 3
    ground.start()

    async def goes_on() -> bool:
        return len(await ground.windows()) >= len(restored) + 3

    await ground.until(goes_on, "three windows more")
    starts = await ground.windows()
    assert starts == sorted(set(starts)), "a window was published twice, or out of order"
    assert len(ground.mails) == mails, [str(mail.message["Subject"]) for mail in ground.mails]
    firing = [alert.rule for alert in await ground.alerts() if alert.state == "firing"]
    assert sorted(firing) == ["quiet", "told"]
    async with site.bus("operator") as bus:
        assert [one.message for one in await bus.latest(SILENCES)] == [silence]
        question = StatsRequestV1(site="market", step="window", since=known[0], until=known[0] + WINDOW_S * SECOND)
        reply = await bus.request(STATS, question, timeout=patient(10))
    assert isinstance(reply, StatsReplyV1)
    assert [period.start for period in reply.periods] == [known[0]]
    async with site.bus("operator") as bus:
        await bus.store(SILENCES, structs.replace(silence, ends=time.time_ns()))

    async def told_at_last() -> bool:
        return len(ground.mails) > mails

    await ground.until(told_at_last, "what was silenced is told when the silence ends")
    ground.masked = True

    async def resolved() -> bool:
        over = {alert.rule for alert in await ground.alerts() if alert.state == "resolved"}
        return over == {"told", "quiet"} and len(ground.mails) >= mails + 3

    await ground.until(resolved, "that both are over is told, too")
    await ground.stop()


@pytest.fixture(name="full")
async def _full(tmp_path):
    """A server with something in every stream that a backup has, and a backup of it."""
    site = Site(tmp_path)
    site.server.start()
    site.server.make()
    try:
        async with site.bus("aggregate") as owner, site.bus("operator") as operator, site.bus("notify") as notify:
            for bus, row in (
                (owner, WINDOWS),
                (owner, ALERTS),
                (owner, RULES),
                (owner, OPERATIONS),
                (operator, SILENCES),
            ):
                await bus.store(row, BY_TYPE[row.message])
            await notify.store(NOTIFICATIONS, BY_TYPE[NOTIFICATIONS.message])
        async with site.bus("ingest") as ingest:
            await ingest.store(PAUSE_STATE, BY_TYPE[PAUSE_STATE.message])
            await ingest.store(AIM_RECORD, BY_TYPE[AIM_RECORD.message])
        file = site.identities.write("backup.yaml", settings_file(site.server.url, "backup"))
        out = tmp_path / "saved"
        saved = await run("backup", "--out", out, "-c", file)
        assert saved.returncode == 0, saved.stderr
        yield site, file, out
    finally:
        await asyncio.to_thread(site.close)


async def test_what_is_there_is_replaced_only_when_asked_and_kept(full):
    """With a copy that can be restored itself; sequences and times are those of the backup."""
    site, file, out = full
    before = await contents(site)
    assert {name: one[0] for name, one in before.items()} == dict.fromkeys(KEPT, 1)
    refused = await run("restore", out, "-c", file)
    assert refused.returncode == 2
    assert "hold messages already; with --replace" in refused.stderr
    assert await contents(site) == before
    async with site.bus("aggregate") as owner:
        await owner.store(WINDOWS, structs.replace(BY_TYPE[WINDOWS.message], start=1, end=2))
    later = await contents(site)
    # Whoever can write to the folder can't have a stream made that repeats what it gets.
    said = out / "ALERTS" / "backup.json"
    hostile = json.loads(said.read_text())
    hostile["config"] |= {"republish": {"src": ">", "dest": "stolen.>"}, "sources": [{"name": "SIGHTINGS"}]}
    said.write_text(json.dumps(hostile))
    _listed_anew(out)
    done = await run("restore", out, "-c", file, "--replace")
    assert done.returncode == 0, done.stderr
    assert await contents(site) == before
    async with site.bus("aggregate") as owner:
        config = json.loads(await owner.ask(stream_info("ALERTS"), timeout=patient(5)))["config"]
        assert not config.get("republish")
        assert not config.get("sources")
        await owner.ensure_streams([stream.name for stream in STREAMS])
        sequence = await owner.store(WINDOWS, structs.replace(BY_TYPE[WINDOWS.message], start=3, end=4))
        assert sequence == before["WINDOWS"][1] + 1
    kept = next(path for path in out.parent.iterdir() if path.name.startswith("saved-before-"))
    assert (await run("restore", kept, "-c", file, "--replace")).returncode == 0
    assert await contents(site) == later


def _cut(out):
    archive = out / "WINDOWS" / "stream.tar.s2"
    archive.write_bytes(archive.read_bytes()[:-5])


def _changed(out):
    archive = out / "ALERTS" / "stream.tar.s2"
    data = bytearray(archive.read_bytes())
    data[30] ^= 1
    archive.write_bytes(data)


def _unlisted(out):
    (out / LIST).unlink()


def _lacking(out):
    shutil.rmtree(out / "DELIVERIES")


def _renamed(out):
    text = (out / LIST).read_text()
    (out / LIST).write_text(text.replace('"CONTROL"', '"../../etc"'))


def _strange(out):
    _renamed(out)
    listed = msgspec.json.decode((out / LIST).read_bytes(), type=Contents)
    (out / LIST).write_bytes(msgspec.json.encode(with_digest(listed)))


def _later(out):
    text = (out / LIST).read_text()
    (out / LIST).write_text(text.replace('"format": 2', '"format": 3'))


def _more(out):
    shutil.copy(out / "WINDOWS" / "backup.json", out / "WINDOWS" / "backup-1.json")


async def test_a_folder_that_is_no_whole_backup_changes_nothing(full, tmp_path):
    """Cut off, changed, without its list, lacking a stream, of elsewhere, of a later version: one clear line each."""
    site, file, out = full
    before = await contents(site)
    cases = {
        _cut: "WINDOWS/stream.tar.s2: has",
        _changed: "ALERTS/stream.tar.s2: is damaged, or was changed",
        _unlisted: "this is no folder of moretta backup, or half of one",
        _lacking: "DELIVERIES/backup.json: is missing",
        _renamed: "moretta-backup.json: was changed since the backup was made",
        _more: "WINDOWS/backup-1.json: is not of this backup",
        _strange: "names '../../etc', which no backup of this version has",
        _later: "is of format 3, and this version reads 2",
    }
    for number, (spoil, words) in enumerate(cases.items()):
        bad = tmp_path / f"bad-{number}"
        shutil.copytree(out, bad)
        spoil(bad)
        refused = await run("restore", bad, "-c", file, "--replace")
        assert (refused.returncode, "Traceback" in refused.stderr) == (2, False), refused.stderr
        assert words in refused.stderr
        assert not [path for path in tmp_path.iterdir() if "-before-" in path.name]
    assert await contents(site) == before
    again = await run("backup", "--out", out, "-c", file)
    assert again.returncode == 2
    assert "is there already" in again.stderr


def _listed_anew(out):
    """The list as whoever can write to the folder can make it."""
    listed = msgspec.json.decode((out / LIST).read_bytes(), type=Contents)
    parts = [described(out, part.stream, part.messages, part.last_seq) for part in listed.parts]
    (out / LIST).write_bytes(msgspec.json.encode(with_digest(structs.replace(listed, parts=parts))))


async def test_what_breaks_off_says_where_the_copy_is_and_that_has_the_empty_streams_too(full, tmp_path):
    """An archive that the server refuses: the copy that was made first brings back what was there, and no more."""
    site, file, out = full
    async with site.bus("backup") as bus:
        await remove(bus.client, "ALERTS")
    site.server.make()
    before = await contents(site)
    assert before["ALERTS"][0] == 0
    bad = tmp_path / "bad"
    shutil.copytree(out, bad)
    (bad / "DELIVERIES" / "stream.tar.s2").write_bytes(b"no archive")
    _listed_anew(bad)
    broken = await run("restore", bad, "-c", file, "--replace")
    (kept,) = [path for path in tmp_path.iterdir() if path.name.startswith("bad-before-")]
    assert (broken.returncode, "Traceback" in broken.stderr) == (1, False), broken.stderr
    assert str(kept) in broken.stderr
    assert (await contents(site))["ALERTS"][0] == 1
    back = await run("restore", kept, "-c", file, "--replace")
    assert back.returncode == 0, back.stderr
    assert {name: one[:2] for name, one in (await contents(site)).items()} == {n: one[:2] for n, one in before.items()}


@pytest.mark.first
async def test_only_the_identity_backup_may(full, tmp_path):
    """An operator's key gets nothing out and nothing in: whoever may, may destroy (ADR 32). No server is one line."""
    site, file, out = full
    operator = site.identities.write("operator.yaml", settings_file(site.server.url, "operator"))
    liar = site.identities.write("liar.yaml", operator.read_text().replace("user: operator", "user: backup"))
    for arguments in (("backup", "--out", tmp_path / "mine"), ("restore", out, "--replace")):
        told = await run(*arguments, "-c", operator)
        assert told.returncode == 2
        assert f"{operator}: nats.user: 'operator' may not do this" in told.stderr
        assert str(operator.with_name("backup.yaml")) in told.stderr
        refused = await run(*arguments, "-c", liar)
        assert refused.returncode == 1
        assert "has this key the right to it?" in refused.stderr
    assert sorted(path.name for path in tmp_path.iterdir() if "mine" in path.name) == []
    assert out.stat().st_mode & 0o777 == 0o700
    site.server.stop()
    silent = await run("backup", "--out", tmp_path / "none", "-c", file)
    assert silent.returncode == 2
    assert "is NATS there" in silent.stderr


async def test_jetstream_that_is_off_is_named(tmp_path):
    """As nats-server switches it off where its volume is full."""
    server = NatsProcess(tmp_path, whole=lambda port, _store: f"listen: 127.0.0.1:{port}").start()
    try:
        (file := tmp_path / "here.yaml").write_text(f"nats: {{url: {server.url}, user: backup}}")
        told = await run("backup", "--out", tmp_path / "taken", "-c", file)
        assert told.returncode == 1
        assert "JetStream is off; is NATS's volume full? See docs/how-to/full-volume.md" in told.stderr
    finally:
        server.stop()


def listens(port: int) -> bool:
    with socket.create_connection(("127.0.0.1", port)):
        return True


@pytest.mark.timeout(300)
def test_a_box_is_put_back_as_documented(tmp_path):
    """The store is lost, its nats.conf served, restored, and the box is up again at the same port; doctor finds it."""
    data, out, identities = tmp_path / "data", tmp_path / "saved", tmp_path / "data" / "identities"
    site = {"id": "cannes", "cameras": [{"id": "none", "url": "rtsp://127.0.0.1:9/s"}]}
    file = tmp_path / "site.yaml"
    file.write_text(json.dumps({"nats": {"url": "nats://10.0.0.9:4222"}, "sites": [site]}))
    run = UpProcess(["-c", str(file), "--data", str(data)]).start()
    try:
        run.wait_for(lambda: bool(run.messages("cameras")), 90, "the camera's state")
        assert any("nats.url: nats://10.0.0.9:4222 is not used" in line for line in run.words)
        url = yaml.safe_load((identities / "subscriber.yaml").read_text())["nats"]["url"]
        saved = moretta("backup", "--out", out, "-c", identities / "backup.yaml")
        found = moretta("doctor", "-c", file, "--data", data, "--json")
    finally:
        run.stop()
    assert saved.returncode == 0, saved.stderr
    table = {one["check"]: one for one in json.loads(found.stdout)["checks"]}
    assert url in table["NATS"]["found"]
    assert {table[one]["state"] for one in ("NATS", "rights of operator", "aggregate", "disk")} == {"ok"}
    shutil.rmtree(data / "jetstream")
    with Program([nats_server(), "-c", identities / "nats.conf"]):
        wait_until(lambda: listens(int(url.rpartition(":")[2])), "the server", ignoring=(OSError,))
        back = moretta("restore", out, "-c", identities / "backup.yaml")
        twice = moretta("up", "-c", file, "--data", data)
    assert back.returncode == 0, back.stderr
    assert "a NATS server listens on" in twice.stderr
    assert twice.returncode == 2
    run = UpProcess(["-c", str(file), "--data", str(data)]).start()
    try:
        run.wait_for(lambda: bool(run.messages("cameras")), 90, "the camera's state")
        assert yaml.safe_load((identities / "operator.yaml").read_text())["nats"]["url"] == url
    finally:
        run.stop()
