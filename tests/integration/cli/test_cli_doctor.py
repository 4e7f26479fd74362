"""`moretta doctor` in and around a real deployment: what it finds, what it says of it, and what it never says."""

import asyncio
import contextlib
import dataclasses
import json
import threading
import time

import clips
import pytest
import yaml
from aiohttp import web
from command_line import moretta
from free_ports import free_port
from http_peer import HttpPeer
from msgspec import structs
from patience import patient, wait_until
from site_process import Site
from up_process import UpProcess

from operate.doctor import bus as on_bus
from operate.doctor import reach
from operate.doctor.core.findings import Finding
from proto.public import CameraV1
from proto.subjects import CAMERAS, PAUSE
from services.bus import Bus, NatsSettings
from services.notify.channels.email.settings import SmtpSettings
from services.sites.settings import CameraSettings, SiteSettings
from testbed.servers.mail import MailServer

pytestmark = pytest.mark.xdist_group("cli-doctor")
TOKEN = "sesame-0123456789-abcdef"
PASSWORD = "hunter2-hunter2"


def told(run) -> dict[str, dict]:
    """The findings of `--json`, by check; the worst of several."""
    order = ("left out", "ok", "warn", "fail")
    checks = sorted(json.loads(run.stdout)["checks"], key=lambda one: order.index(one["state"]))
    return {one["check"]: one for one in checks}


def identity(site, name="operator"):
    """The variables by which a pod has an identity."""
    seed = site.identities.folder / f"{name}.nk"
    return {
        "MORETTA_NATS__URL": site.server.url, "MORETTA_NATS__USER": name, "MORETTA_NATS__SEED_FILE": str(seed),
    }  # fmt: skip


@pytest.fixture(name="site", scope="module")
def _site(tmp_path_factory):
    """A lab site with a camera, aggregate and ingest; a webhook, a mail server and a camera's password are secrets."""
    folder = tmp_path_factory.mktemp("doctor")
    site = Site(folder)
    clip = clips.make_clip(folder / "clip.mp4", width=160, height=96, pictures=50)
    site.server.start()
    one = {"id": "cannes", "profile": "lab", "window_s": 2.0, "lateness_s": 0.5}
    gone = {"id": "gone", "url": f"rtsp://admin:{PASSWORD}@127.0.0.1:9/{TOKEN}", "long_side": 160}
    one["cameras"] = [{"id": "gate", "url": str(clip), "loop": True, "long_side": 160}, gone]
    with mailbox(folder / "mails") as port:
        hook = {"url": f"http://127.0.0.1:9/{TOKEN}", "token": TOKEN}
        smtp = {"port": port, "security": "none", "sender": "a@example.org"}
        receivers = [{"id": "staff", "email": ["anna@example.org"], "webhooks": [hook]}]
        notify = {"smtp": smtp, "receivers": receivers, "salt": "0123456789abcdef"}
        site.write({"sites": [one], "notify": notify, "log": {"format": "json"}, "aggregate": {"tick_s": 0.2}})
        try:
            aggregate, ingest = site.start("aggregate"), site.start("ingest")
            aggregate.wait_for("window published", limit_s=60)
            ingest.wait_for("running")
            yield site
        finally:
            site.close()


@contextlib.contextmanager
def mailbox(folder):
    """The port of a mail server with a loop of its own, in a thread: it outlives a test's."""
    serving: list = []

    async def serve():
        async with MailServer(folder, lambda _mail: None) as server:
            serving.extend([server.port, asyncio.get_running_loop(), end := asyncio.Event()])
            await end.wait()

    thread = threading.Thread(target=asyncio.run, args=(serve(),))
    thread.start()
    wait_until(lambda: len(serving) == 3, "the mail server")
    port, loop, end = serving
    try:
        yield port
    finally:
        loop.call_soon_threadsafe(end.set)
        thread.join()


@pytest.mark.timeout(180)
async def test_a_deployment_from_inside(site):
    """Each thing has its own line; what does not work is told with what to do, and no secret is in it."""
    runs = []

    def has_begun() -> bool:  # in the windows in which counting began, lost pictures are not told
        runs.append(moretta("doctor", "-c", site.file, "--cameras", "--json", **identity(site)))
        return told(runs[-1])["windows of cannes"]["state"] == "warn"

    await asyncio.to_thread(wait_until, has_begun, "a window in which counting did not begin")
    run = runs[-1]
    assert run.returncode == 1, run.stdout + run.stderr
    found = told(run)
    well = ("NATS", "clock", "rights of operator", "streams", "aggregate")
    assert {name: found[name]["state"] for name in well} == dict.fromkeys(well, "ok"), run.stdout
    assert found["windows of cannes"]["state"] == "warn", "there is no inference"
    assert found["windows of cannes"]["found"].endswith("0% was observed: pictures were lost")
    assert found["reach cannes/gate"]["found"].endswith("a packet came; nothing was decoded or kept")
    assert found["reach cannes/gone"]["state"] == "fail"
    assert found["webhook of staff"]["found"].startswith("127.0.0.1:9: ")
    assert found["webhook of staff"]["state"] == "fail"
    assert found["camera cannes/gone"]["state"] == "warn"
    assert all(one["todo"] for one in found.values() if one["state"] in {"warn", "fail"})
    seed = (site.identities.folder / "operator.nk").read_text().strip()
    table = await asyncio.to_thread(moretta, "doctor", "-c", site.file, **identity(site))
    assert table.returncode == 1
    assert "what to do" in table.stdout
    for secret in (TOKEN, PASSWORD, seed, "anna@example.org"):
        assert secret not in run.stdout + run.stderr + table.stdout + table.stderr


@pytest.mark.timeout(120)
async def test_what_needs_a_secret_that_is_not_here_is_left_out(site, tmp_path):
    """An operator's pod has no camera's password and no mail password: it says so, and that is no failure.

    What needs no secret is tried: a camera whose address is in the settings, the mail server as far as it answers.
    """
    settings = yaml.safe_load(site.file.read_text())
    port = site.server.port
    settings["sites"][0]["cameras"] = [
        {"id": "gate", "url_file": "/run/secrets/gate.url"}, {"id": "open", "url": f"rtsp://127.0.0.1:{port}/1"},
        {"id": "away", "url": "rtsp://127.0.0.1:9/1"},
    ]  # fmt: skip
    smtp = {"host": "127.0.0.1", "port": port, "sender": "a@example.org", "user": "a", "security": "none"}
    settings["notify"] = {"salt_file": "/run/secrets/salt", "smtp": smtp | {"password_file": "/run/secrets/mail"}}
    file = tmp_path / "bare.yaml"
    file.write_text(yaml.safe_dump(settings))
    run = await asyncio.to_thread(moretta, "doctor", "-c", file, "--json", **identity(site))
    found = told(run)
    assert found["settings of ingest"]["state"] == "left out"
    assert "sites[0].cameras[0].url_file" in found["settings of ingest"]["found"]
    assert found["settings of aggregate"]["state"] == "ok"
    assert found["channels"]["state"] == "left out"
    assert found["reach cameras"]["state"] == "left out"
    assert found["reach cannes/open"]["found"] == f"127.0.0.1:{port} answers; nothing was sent"
    assert found["reach cannes/away"]["state"] == "fail"
    assert found["SMTP"]["found"] == f"127.0.0.1:{port} answers; nothing was sent"
    assert "reach cannes/gate" not in found
    settings["sites"][0]["cameras"][0]["fps"] = "many"
    file.write_text(yaml.safe_dump(settings))
    wrong = told(await asyncio.to_thread(moretta, "doctor", "-c", file, "--json", **identity(site)))
    assert wrong["settings of ingest"]["state"] == "fail"
    assert "fps" in wrong["settings of ingest"]["found"]


@pytest.mark.timeout(120)
async def test_a_stream_that_is_too_large_is_told(site, tmp_path):
    """By what ingest measured of a camera whose URL is a secret; a file and one as recommended have no line."""
    settings = yaml.safe_load(site.file.read_text())
    settings["sites"][0]["cameras"] += [{"id": one, "url_file": f"/run/{one}.url"} for one in ("large", "small")]
    file = tmp_path / "more.yaml"
    file.write_text(yaml.safe_dump(settings))
    bus = await Bus.connect(site.identities.settings("ingest", site.server.url), "ingest")
    sizes = {"large": (1920, 1080, 25.0), "small": (1280, 720, 8.0), "gate": (1920, 1080, 25.0)}
    try:
        for name, (width, height, fps) in sizes.items():
            state = CameraV1(site="cannes", camera=name, state="live", since=0, at=time.time_ns())
            await bus.store(CAMERAS, structs.replace(state, width=width, height=height, fps=fps))
        found = told(await asyncio.to_thread(moretta, "doctor", "-c", file, "--json", **identity(site)))
    finally:
        await bus.close()
    assert [one for one in found if one.startswith("stream of")] == ["stream of cannes/large"]
    assert found["stream of cannes/large"]["found"].startswith("decodes 25 pictures a second of 1920x1080, analyses 5")


def _opened(config: str) -> str:
    """A server that lets an operator hear everything, and not ask for windows."""
    whole = json.loads(config)
    for user in whole["accounts"]["MORETTA"]["users"]:
        allowed = user["permissions"]["publish"]["allow"]
        if PAUSE.wildcard() in allowed:
            allowed.remove("$JS.API.STREAM.INFO.ALERTS")
            user["permissions"]["subscribe"]["allow"].append("moretta.v1.>")
    return json.dumps(whole)


async def test_rights_that_are_not_the_tables_are_told(tmp_path):
    """Both ways: what is lacking, and what is beyond; every identity's own are as they should be."""
    site = Site(tmp_path, extend=_opened)
    site.server.start()
    site.write({"sites": [{"id": "cannes", "cameras": []}]})
    try:
        await asyncio.to_thread(site.server.make)
        found = {}
        for name in ("operator", "ingest"):
            run = await asyncio.to_thread(moretta, "doctor", "-c", site.file, "--json", **identity(site, name))
            found[name] = [one for one in json.loads(run.stdout)["checks"] if one["check"].startswith("rights")]
        for name in ("aggregate", "notify", "backup", "subscriber"):  # as the command does
            settings = site.identities.settings(name, site.server.url)
            found[name] = [dataclasses.asdict(one) for one in await on_bus.granted(settings, name)]
    finally:
        await asyncio.to_thread(site.close)
    lacking, beyond = found.pop("operator")
    assert "refused, and should not be: publish $JS.API.STREAM.INFO.ALERTS" in lacking["found"]
    assert "granted, and should not be: subscribe moretta.v1." in beyond["found"]
    assert {name: [one["state"] for one in lines] for name, lines in found.items()} == {name: ["ok"] for name in found}


def test_without_a_server_and_without_settings(tmp_path):
    """No server is a failure; a file that does not say where NATS is, a mistake. A password in its URL is not told."""
    file = tmp_path / "s.yaml"
    file.write_text(f"nats: {{url: 'nats://ana:{PASSWORD}@127.0.0.1:1'}}\n")
    told_all = [moretta("doctor", "-c", file, *how) for how in ([], ["--json"])]
    assert moretta("nats", "apply", tmp_path / "keys").returncode == 0
    told_all.append(moretta("nats", "streams", tmp_path / "keys", "-c", file))
    assert [run.returncode for run in told_all] == [1, 1, 2]
    assert not any(PASSWORD in run.stdout + run.stderr for run in told_all)
    file.write_text("nats: {url: 'nats://127.0.0.1:1'}\nsites: [{id: cannes}]\n")
    run = moretta("doctor", "-c", file)
    assert run.returncode == 1
    assert "no connection to nats://127.0.0.1:1 as operator" in run.stdout
    file.write_text("nats: {url: nowhere}\n")
    assert moretta("doctor", "-c", file).returncode == 2
    lost = moretta("doctor", "-c", file.with_name("none.yaml"))
    assert (lost.returncode, lost.stdout) == (2, "")
    for arguments in (
        ["--round-trip", "nice"],
        ["--round-trip", "cannes"],
        ["--round-trip", "cannes", "--listen", "x"],
    ):
        file.write_text("nats: {url: 'nats://127.0.0.1:1'}\nsites: [{id: cannes}]\n")
        assert moretta("doctor", "-c", file, *arguments).returncode == 2
    camera = {"id": "gate", "url": "http://127.0.0.1:9/"}
    mine = {
        "nats": {"url": "nats://127.0.0.1:1", "user": "aggregate"},
        "sites": [{"id": "cannes", "cameras": [camera]}],
    }
    file.write_text(yaml.safe_dump(mine))
    taking = moretta("doctor", "-c", file, "--round-trip", "cannes")
    assert taking.returncode == 2
    assert "nats.user: is aggregate, who would take requests from those that answer them" in taking.stderr


async def test_who_is_not_called_and_who_offers_no_tls(tmp_path):
    """A metadata service is not called, a peer not either; a mail server without TLS is told."""
    refused = await reach.reached(reach.ServerAddress("hook", "169.254.169.254", 80))
    assert "metadata service" in refused.found
    nowhere = CameraSettings(id="gate", url="http://169.254.169.254/latest")
    assert (await reach.camera("cannes", nowhere, open_it=True)).state == "fail"
    peer = structs.replace(nowhere, url="whip://")
    assert (await reach.camera("cannes", peer, open_it=False)).state == "left out"
    async with MailServer(tmp_path / "mails", lambda _mail: None) as server:
        settings = SmtpSettings(port=server.port, sender="a@example.org")
        found: Finding = await reach.mail(settings)
        assert (found.state, "no-starttls" in found.found) == ("fail", True)
        plain = await reach.mail(structs.replace(settings, security="none"))
        assert plain.state == "warn"


@pytest.mark.timeout(120)
async def test_where_nobody_is_refused_anything_nothing_is_said_of_refusals(nats_server, tmp_path):
    """An open server has no rights to judge, the windows of recordings are as old as these; nobody takes the film."""
    sites = [SiteSettings(id="cannes", close_on_end=True)]
    bus, _ = await on_bus.connected(NatsSettings(url=nats_server.url))
    assert bus is not None
    try:
        assert [one.state for one in await on_bus.windows(bus, sites)] == ["left out"]
    finally:
        await bus.close()
    site = {"id": "cannes", "cameras": [{"id": "film", "url": "http://127.0.0.1:9/film.ts", "long_side": 160}]}
    file = tmp_path / "open.yaml"
    file.write_text(yaml.safe_dump({"nats": {"url": nats_server.url}, "sites": [site]}))
    trip = ("doctor", "-c", file, "--json", "--round-trip", "cannes", "--listen", "127.0.0.1:0", "--limit", "1")
    found = told(await asyncio.to_thread(moretta, *trip))
    assert "nobody came for the film in 1 s" in found["camera cannes/film"]["found"]
    assert found["rights"]["state"] == "left out"
    assert "everything at once" not in found


@pytest.mark.timeout(900)
def test_a_round_trip_as_helm_test_makes_it(tmp_path):
    """A film goes in as a camera and comes out as a number, and no part of it is heard."""
    port = free_port()
    camera = {"id": "film", "url": f"http://127.0.0.1:{port}/film.ts", "long_side": 480}
    site = {"id": "selftest", "profile": "lab", "window_s": 10.0, "lateness_s": 1.0, "cameras": [camera]}
    file = tmp_path / "settings.yaml"
    file.write_text(yaml.safe_dump({"sites": [site]}))
    run = UpProcess(["-c", str(file), "--data", str(tmp_path / "data")]).start()
    try:
        folder = tmp_path / "data" / "identities"
        run.wait_for(lambda: bool(run.messages("cameras")), 60, "ingest to tell of its camera")
        nats = yaml.safe_load((folder / "operator.yaml").read_text())["nats"]
        who = {"MORETTA_NATS__URL": nats["url"], "MORETTA_NATS__USER": "operator"}
        who["MORETTA_NATS__SEED_FILE"] = str(folder / "operator.nk")
        trip = ("doctor", "-c", file, "--json", "--round-trip", "selftest")
        done = moretta(*trip, "--listen", f"0.0.0.0:{port}", "--limit", str(patient(100)), limit_s=patient(130), **who)
    finally:
        run.stop()
    assert done.returncode == 0, done.stdout + done.stderr
    found = told(done)
    for check in ("camera selftest/film", "window", "count", "pictures on the bus", "everything at once"):
        assert found[check]["state"] == "ok", found[check]


async def test_who_stays_is_asked_of_aggregates_page(tmp_path):
    """A page without it, or none at all, is told, and no address is."""
    file = tmp_path / "settings.yaml"
    file.write_text("nats: {url: 'nats://127.0.0.1:1'}\nsites: [{id: cannes}]\n")
    gauge = "# TYPE moretta_drift_stayed_share gauge\nmoretta_drift_stayed_share"
    pages = [
        (
            web.Response(text=gauge + '{site="cannes",camera="gate",day="yesterday"} 0.6\n'),
            ("who stays at cannes/gate", "warn"),
        ),
        (web.Response(text="# TYPE up gauge\nup 1\n"), ("who stays", "left out")),
        (web.Response(status=404), ("who stays", "fail")),
        (web.Response(text="up quoted-secret\n"), ("who stays", "fail")),
        ("garbage", ("who stays", "fail")),
    ]
    async with HttpPeer(answers=[page for page, _ in pages]) as peer:
        url = peer.url("metrics")
        for _, (check, state) in pages:
            run = await asyncio.to_thread(moretta, "doctor", "-c", file, "--json", "--metrics", url)
            assert told(run)[check]["state"] == state
            assert not any(said in run.stdout + run.stderr for said in (url, "quoted-secret", "garbage"))
        assert {one.path for one in peer.got} == {"/metrics"}


async def test_where_a_smaller_picture_would_do_is_read_off_aggregates_page(tmp_path):
    """Of the camera whose faces were large yesterday; the page says nothing of the other one."""
    cameras = [f"{{id: {name}, url: 'rtsp://127.0.0.1:1/none'}}" for name in ("gate", "yard")]
    file = tmp_path / "settings.yaml"
    file.write_text(f"nats: {{url: 'nats://127.0.0.1:1'}}\nsites: [{{id: cannes, cameras: [{', '.join(cameras)}]}}]\n")
    name = "moretta_drift_size_pixels"
    labels = '{site="cannes",camera="gate",day="yesterday",quantile="0.1"}'
    async with HttpPeer(answers=[web.Response(text=f"# TYPE {name} gauge\n{name}{labels} 40\n")]) as peer:
        run = await asyncio.to_thread(moretta, "doctor", "-c", file, "--json", "--metrics", peer.url("metrics"))
    found = {check: one for check, one in told(run).items() if check.startswith("face sizes")}
    assert list(found) == ["face sizes at cannes/gate"]
    assert found["face sizes at cannes/gate"]["state"] == "ok"
    assert "`long_side: 480` would do" in found["face sizes at cannes/gate"]["todo"]
