"""What the proof makes of what comes in and of what is on disk, and what its planter puts where."""

import base64
import io
import json
import os
import subprocess
import threading
import urllib.request
from email.message import EmailMessage
from email.parser import BytesParser
from email.policy import default
from pathlib import Path

import aiohttp
import numpy as np
import pytest
from free_ports import free_port
from PIL import Image, ImageDraw

from operate.box.child import TOO_LONG
from proto.codec import encode
from proto.public import CameraV1
from proto.subjects import ALERTS, CAMERAS, FRAMES, WINDOWS
from services.ingest.sources.source import open_source
from services.sites.settings import CameraSettings
from testbed.proof import disk
from testbed.proof.core.images import BLOCK
from testbed.proof.disk import Disk, unfinished
from testbed.proof.planting import PlantingPlaces, canary_image, planted
from testbed.proof.search import PLACES, Search
from testbed.proof.secret import FilmNeedles, Label
from testbed.proof.story import StoryError
from testbed.proof.taps import PLANTER, TapSearch
from testbed.servers.mail import Mail, MailServer
from testbed.servers.sms import SmsGateway

ROW = bytes(np.random.default_rng(5).integers(0, 256, 320, dtype=np.uint8))


@pytest.fixture(name="search")
def _search() -> Search:
    return Search(FilmNeedles({ROW[i : i + 32]: Label("scaled", 3) for i in range(0, 320, 32)}))


@pytest.fixture(name="watch")
def _watch(search) -> TapSearch:
    return TapSearch(search)


def mail(folder: Path, attachment: bytes, kind: str = "octet-stream", sender: str = "moretta@market.example") -> Mail:
    message = EmailMessage()
    message["From"], message["Subject"] = sender, "mask rate"
    message.set_content("Fewer than usual.")
    message.add_attachment(attachment, maintype="application", subtype=kind, filename="it")
    file = folder / "mail-1.eml"
    file.write_bytes(bytes(message))
    return Mail(file, BytesParser(policy=default).parsebytes(bytes(message)))


def chart(row: bytes = b"") -> bytes:
    """A drawing of few colours; with a row, its first line is that row as shades of grey."""
    picture = Image.new("RGB", (600, 300), "white")
    ImageDraw.Draw(picture).line([(10, 200), (300, 40), (590, 220)], "navy", 5)
    if row:
        picture.paste(Image.frombytes("L", (len(row), 1), row).convert("RGB"), (0, 0))
    data = io.BytesIO()
    picture.save(data, "PNG")
    return data.getvalue()


def test_a_mails_attachment_is_decoded_and_searched(tmp_path, search, watch):
    """Named by file and subject; what the planter sent is counted apart."""
    watch.mail(mail(tmp_path, b"before" + ROW[:64]))
    assert list(search["mails"].hits) == ["mail-1.eml: mask rate"]
    assert watch.mails == 1
    watch.mail(mail(tmp_path, search.rows["mails"], sender=PLANTER))
    assert watch.mails == 1
    assert search["mails"].canary


def test_a_chart_is_no_picture_and_a_photograph_is_one(tmp_path, search, watch):
    """By its colours; a chart in which a row hides is found by the row."""
    watch.mail(mail(tmp_path, chart(), "png"))
    assert (search["mails"].hits, search["images"].hits) == ({}, {})
    assert search["images"].notes == ["charts in mails were decoded: few colours, no row of a picture"]
    photograph = io.BytesIO()
    Image.frombytes("RGB", (120, 80), os.urandom(120 * 80 * 3)).save(photograph, "PNG")
    watch.mail(mail(tmp_path, photograph.getvalue(), "png"))
    assert any("a PNG image" in where for where in search["images"].hits)
    assert search["mails"].hits == {}
    watch.mail(mail(tmp_path, chart(ROW), "png"))
    assert sum(search["mails"].hits.values()) == 10


def test_an_image_that_was_planted_is_the_canary_of_images(tmp_path, search):
    """By its checksum; the same image elsewhere in other bytes is a finding."""
    image = canary_image()
    search.plants_image(image)
    search.text("files", "planted.png", image)
    assert (search["images"].canary, search["images"].hits) == (True, {})
    search.text("files", "other.png", image + b"more")
    assert set(search["images"].hits) == {"other.png: a PNG image", f"other.png: {8 * BLOCK} bytes like noise"}


async def test_the_sms_gateway_keeps_whole_requests(search, watch):
    """Path, headers and body of each."""
    async with SmsGateway(watch.request) as gateway, aiohttp.ClientSession() as session:
        for body in ({"text": "61 % of 40"}, {"to": PLANTER, "text": base64.b64encode(search.rows["sms"]).decode()}):
            async with session.post(gateway.url, json=body) as answer:
                assert await answer.json() == {"status": "taken"}
        assert (watch.sms, search["sms"].count, search["sms"].canary) == (1, 2, True)
        async with session.get(gateway.url, params={"text": ROW[:40].hex()}, headers={"X-Row": ROW[64:128].hex()}):
            pass
    assert sum(search["sms"].hits.values()) == 3


def test_a_log_line_is_searched_and_one_that_is_too_long_is_told(search, watch):
    """As the child's reader gives it: bytes that are no text are escaped."""
    watch.line("ingest", "all is well")
    watch.line("ingest", ROW[:64].decode(errors="backslashreplace"))
    assert search["logs"].hits == {"ingest": 2}
    assert search["logs"].missing == []
    watch.line("ingest", f"ingest {TOO_LONG}")
    assert search["logs"].missing == [f"ingest {TOO_LONG}"]


def test_what_is_heard_is_searched_and_public_messages_are_told_once(search, watch):
    """Frames are noise by design, so only rows are searched there; headers are searched everywhere."""
    told = []
    watch.public = told.append
    camera = CameraV1(site="s", camera="c", state="live", since=1, at=2, fps=5.0)
    for user in ("subscriber", "operator"):
        watch.message(user, CAMERAS.of(camera), b"", encode(CAMERAS, camera))
    watch.message("subscriber", WINDOWS.subject(site="s", zone="z"), b"", b"{}")
    assert [message.camera for message in told] == ["c"]
    assert ALERTS.parse("moretta.v1.alerts.s.z.r") is not None
    frame = FRAMES.subject(site="s", camera="c")
    watch.message("inference-frames", frame, b"", os.urandom(4 * BLOCK))
    assert (watch.frames, search["images"].hits) == (1, {})
    watch.message("inference-frames", frame, b"", ROW)
    watch.message("aggregate", "moretta.v1.passages.s", b"note: " + ROW[:32].hex().encode(), b"")
    assert search["bus"].hits == {f"inference-frames heard {frame}": 10, "aggregate heard moretta.v1.passages.s": 1}


def trace(disk: Disk, name: str, *lines: str) -> None:
    (disk.traces / f"{name}-17.strace").write_text("".join(f"7 {line}\n" for line in lines))


def opened(path: Path) -> str:
    return f'openat(AT_FDCWD</>, "{path}", O_WRONLY|O_CREAT, 0666) = 5<{path}>'


def test_files_in_the_boxs_folder_and_wherever_a_program_wrote(tmp_path, search):
    """One that is gone was not searched; one in the folder is searched there; devices are none."""
    folder = Disk(search, tmp_path)
    (folder.box / "jetstream").mkdir()
    (folder.box / "jetstream" / "1.blk").write_bytes(b"x" + ROW[:32])
    (folder.box / "tmp" / "left.bin").write_bytes(b"xx" + ROW[:64])
    (folder.box / "link").symlink_to(tmp_path / "nowhere")
    elsewhere, clean = tmp_path / "elsewhere.bin", tmp_path / "clean.bin"
    elsewhere.write_bytes(ROW[:96])
    clean.write_bytes(b"nothing")
    trace(folder, "ingest", opened(elsewhere), opened(tmp_path / "gone.bin"), opened(Path("/dev/null")))
    trace(folder, "nats-server", opened(folder.box / "jetstream" / "1.blk"), opened(clean))
    trace(folder, "inference", "+++ killed by SIGABRT (core dumped) +++")
    trace(folder, "planter", opened(clean), "+++ killed by SIGABRT (core dumped) +++")
    folder.folder()
    folder.traced("planter")
    assert search["files"].hits == {"box/tmp/left.bin": 2}
    assert search["jetstream"].hits == {"box/jetstream/1.blk": 1}
    assert search["strace"].hits == {"elsewhere.bin": 3}
    assert search["strace"].missing == [f"{tmp_path / 'gone.bin'}, which ingest wrote, is gone"]
    assert search["strace"].count == 2
    assert search["strace"].notes == ["6 calls seen; no file was written by inference, aggregate, notify"]
    assert (search["cores"].canary, search["cores"].hits) == (True, {"inference dumped core": 1})


def test_a_file_that_may_not_be_read_was_not_searched(tmp_path, search, monkeypatch):
    """And one that goes away meanwhile is none."""
    folder = Disk(search, tmp_path)
    for name in ("a.bin", "b.bin"):
        (folder.box / name).write_bytes(b"x")

    def read(path: Path) -> bytes:
        raise FileNotFoundError if path.name == "a.bin" else PermissionError(13, "Permission denied")

    monkeypatch.setattr(disk.Path, "read_bytes", read)
    folder.folder()
    assert search["files"].missing == [f"{folder.box / 'b.bin'}: Permission denied"]


async def test_the_planter_plants_in_every_place_that_it_is_for(tmp_path, search, watch):
    """Messages and memory apart, which need a box and root: each search finds its own canary, and nothing else."""
    folder = Disk(search, tmp_path)
    image = canary_image()
    search.plants_image(image)
    async with MailServer(tmp_path / "mails", watch.mail) as mails, SmsGateway(watch.request) as sms:
        ground = PlantingPlaces(tmp_path, folder.box, mails.port, sms.url, lambda _name: [], watch.line)
        async with planted("planter", search.rows, image, ground) as url, aiohttp.ClientSession() as session:
            async with session.get(url) as answer:
                search.text("metrics", url, await answer.read())
            folder.folder()
        search.text("strace", "elsewhere", (tmp_path / "planter-elsewhere" / "planter.bin").read_bytes())
    seen = {name for name in PLACES if search[name].canary}
    assert seen == set(PLACES) - {"jetstream", "bus", "memory", "cores", "network"}
    assert {name: place.hits for name, place in search.places.items() if place.hits} == {}
    assert (watch.mails, watch.sms) == (0, 0)


async def test_a_planter_that_cannot_plant_is_told(tmp_path, search, watch):
    """In its own words, as soon as it has ended."""
    port = free_port()
    ground = PlantingPlaces(
        tmp_path, tmp_path / "no-such-box", port, "http://127.0.0.1:9/", lambda _name: [], watch.line
    )
    with pytest.raises(StoryError, match=r"planter ended \(exit code 1\).*No such file or directory"):
        async with planted("planter", search.rows, b"", ground):
            pytest.fail("nothing was planted")


def test_the_camera_is_one_that_ingest_can_read(tmp_path):
    """The settings' address is one that ingest takes."""
    settings = CameraSettings(id="network", url="http://127.0.0.1:9/proof.ts", open_timeout_s=1.0)
    with pytest.raises(Exception, match="refused"):
        open_source(settings)
    assert json.loads(json.dumps({"url": settings.url})) == {"url": "http://127.0.0.1:9/proof.ts"}
    assert urllib.request.Request(settings.url).host == "127.0.0.1:9"


def test_a_trace_that_is_still_written_is_waited_for(tmp_path):
    """strace is nobody's child, and writes its last lines after what it traced has ended."""
    command = ["strace", "-c", "echo begun; read word", f"{tmp_path}/notify-1.strace"]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, executable="/bin/sh", stdin=pipe, stdout=pipe) as tracer:
        # Popen may be back before the kernel shows the new command line
        assert tracer.stdout.readline() == b"begun\n"
        assert unfinished(tmp_path, 0) == [tracer.pid]
        later = threading.Timer(0.3, tracer.communicate, [b"end\n"])
        later.start()
        assert unfinished(tmp_path) == []
        later.join()
