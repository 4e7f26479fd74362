"""`moretta cameras` against a camera that lies: one clear line, nothing followed, nothing shown that is a secret."""

import json
import re
import socket
import time

import pytest
import yaml
from command_line import assert_mistakes, moretta
from lying_camera import MEDIA, MEDIA2, PASSWORD, LyingCamera, envelope, fault, profile, profiles, services, uri
from patience import patient

LAUGHS = b"<!DOCTYPE a [<!ENTITY a 'ha'>%s]>" % b"".join(
    b"<!ENTITY %c '%s'>" % (98 + n, b"&%c;" % (97 + n) * 10) for n in range(9)
) + b"<s:Envelope xmlns:s='urn:s'><s:Body>&j;</s:Body></s:Envelope>"  # fmt: skip


@pytest.fixture(name="camera")
def _camera():
    with LyingCamera() as camera:
        yield camera


def show(camera, *options):
    return moretta("cameras", "show", camera.host, *options)


def streams(camera, *options):
    """What `show` found, by token, and the one that it would take."""
    run = show(camera, "--json", *options)
    assert run.returncode == 0, run.stderr
    told = json.loads(run.stdout)
    return {one["token"]: one for one in told["streams"]}, told["choice"]


def test_an_honest_camera(camera):
    """The smaller stream is taken; a service's address behind NAT is asked at the host that we know."""
    found, choice = streams(camera)
    assert (choice["token"], choice["reason"], choice["divisor"]) == ("second", "smallest-that-fits", 9)
    assert found["main"] | {"name": ""} == {
        "token": "main", "name": "", "codec": "H.264", "width": 1920, "height": 1080, "fps": 25.0, "kbps": None,
        "refused": None,
    }  # fmt: skip
    assert "POST /onvif/media" in camera.sent[-2]
    text = show(camera).stdout
    assert "→   second" in text
    assert "Moretta would take second: the cheapest" in text
    assert "8554" not in text


@pytest.mark.parametrize("question", ["GetSystemDateAndTime", "GetServices", "GetProfiles"])
@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (LAUGHS, "its XML has a document type declaration, which SOAP forbids"),
        (b'<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]><a>&x;</a>', "its XML has a document type"),
        ("endless", "its answer is larger than 1 MiB"),
        ("garbage", "it does not speak HTTP"),
        (b"<html><body>hello</body>", "its answer is no XML"),
        (b"<html><body>hello</body></html>", "its XML is no SOAP"),
        (503, "it answered HTTP status 503"),
        (307, "it redirects to another address, which is not followed"),
    ],
)
def test_an_answer_that_harms_or_is_none(camera, question, answer, why):
    """Refused with the reason; exit code 2, and nothing is asked after it."""
    camera.says[question] = answer
    camera.location = f"http://127.0.0.1:{camera.port}/onvif/device_service"
    assert_mistakes(show(camera), f"127.0.0.1:{camera.port}: no ONVIF answer: {why}")
    assert camera.asked[-1] == question
    assert not camera.was_heard_out


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_leads_nowhere(camera, status):
    """Nobody hears of us at the place where it points."""
    with socket.create_server(("127.0.0.1", 0)) as other:
        camera.says["GetServices"] = status
        camera.location = f"http://127.0.0.1:{other.getsockname()[1]}/"
        assert_mistakes(show(camera), f"127.0.0.1:{camera.port}: no ONVIF answer: it redirects")
        other.settimeout(0.1)
        with pytest.raises(TimeoutError):
            other.accept()


@pytest.mark.parametrize("fault_", ["hang", "drip"])
def test_a_slow_answer(camera, fault_):
    """It has five seconds for an answer as a whole, however it comes."""
    camera.says["GetServices"] = fault_
    began = time.monotonic()
    assert_mistakes(show(camera), f"127.0.0.1:{camera.port}: no answer within 5 s; is the camera on")
    assert time.monotonic() - began < patient(15)  # a byte every 0.2 s would go on for hours


@pytest.mark.parametrize(
    ("address", "why"),
    [
        ("rtsp://10.9.9.9/a", "its address is on another host: 10.9.9.9"),
        ("rtsp://169.254.169.254/a", "its address is on another host: 169.254.169.254"),
        ("rtsp://127.0.0.1@10.9.9.9/a", "its address is on another host: 10.9.9.9"),
        ("file:///etc/passwd", "its address is file:, not rtsp://"),
        ("http://127.0.0.1/a", "its address is http:, not rtsp://"),
        ("/dev/video0", "its address is without a scheme, not rtsp://"),
        ("rtsp://127.0.0.1:99999/a", "no usable address"),
        ("", "the camera names no address of it"),
    ],
)
def test_a_stream_that_is_elsewhere(camera, address, why):
    """It is shown with the reason, and nothing can be taken: exit code 1."""
    camera.says["GetStreamUri"] = uri(address)
    run = show(camera, "--json")
    assert run.returncode == 1
    told = json.loads(run.stdout)
    assert {one["refused"] for one in told["streams"]} == {why}
    assert told["choice"] is None
    text = show(camera)
    assert text.returncode == 1
    assert "None of its streams can be taken." in text.stdout


def test_one_stream_elsewhere_and_one_here(camera):
    """The one that is the camera's own is taken."""
    camera.says["GetStreamUri"] = uri("rtsp://127.0.0.1/{profile}")
    camera.says["GetProfiles"] = profiles(profile("a@10.9.9.9/x", 640, 360, 8), profile("main", 1920, 1080, 25))
    _, choice = streams(camera)
    assert choice["token"] == "a@10.9.9.9/x"  # a path, whatever it looks like
    camera.says["GetStreamUri"] = uri("rtsp://127.0.0.1{profile}")
    camera.says["GetProfiles"] = profiles(profile("@10.9.9.9/x", 640, 360, 8), profile("/main", 1920, 1080, 25))
    found, choice = streams(camera)
    assert found["@10.9.9.9/x"]["refused"] == "its address is on another host: 10.9.9.9"
    assert (choice["token"], choice["reason"]) == ("/main", "only-one")


def test_nonsense_sizes(camera):
    """They are not known, and never a reason to take a stream; names move no cursor."""
    camera.says["GetProfiles"] = profiles(
        profile("huge", 10**9, 10**9, 25), profile("less", -640, 360, "NaN"), profile("text", "&#x9b;2J", "x", "∞"),
        profile("good", 1280, 720, 10, name="&#x9b;2J&#x202e;name"), profile("new", 640, 360, 8, codec="AV2"),
    )  # fmt: skip
    found, choice = streams(camera)
    assert choice["token"] == "good"
    assert [found[one]["width"] for one in ("huge", "less", "text", "good")] == [None, None, None, 1280]
    assert found["good"]["name"] == "?2J?name"
    assert found["new"]["refused"] == "its codec is none that Moretta reads"
    text = show(camera).stdout
    assert text.replace("\n", "").isprintable()


def test_a_name_is_no_markup(camera):
    """What a camera calls its profile is plain text, in the table and in the progress on a terminal."""
    camera.says["GetProfiles"] = profiles(profile("p", 640, 360, 8, name="[/red][bold]x"))
    run = moretta("cameras", "show", camera.host, FORCE_COLOR="1")
    assert run.returncode == 0, run.stderr
    assert "[/red][bold]x" in run.stdout
    assert "for the address of [/red][bold]x" in run.stderr


def test_five_hundred_profiles(camera):
    """32 are enough, and no more is asked."""
    camera.says["GetProfiles"] = profiles(*(profile(f"p{n}", 640, 360, 8) for n in range(500)))
    found, _ = streams(camera)
    assert len(found) == 32
    assert camera.asked.count("GetStreamUri") == 32


def test_the_second_media_service(camera):
    """It is asked first where there is one, since only it knows H.265; the first one where it fails."""
    encoder = "<Encoding>H265</Encoding><Resolution><Width>640</Width><Height>480</Height></Resolution>"
    camera.says["GetServices"] = services(MEDIA, MEDIA2)
    camera.says["GetProfiles"] = envelope(
        f"<GetProfilesResponse><Profiles token='x'><Configurations><VideoEncoder>{encoder}</VideoEncoder>"
        "</Configurations></Profiles></GetProfilesResponse>"
    )
    camera.says["GetStreamUri"] = envelope("<GetStreamUriResponse><Uri>rtsp://127.0.0.1/x</Uri></GetStreamUriResponse>")
    found, choice = streams(camera)
    assert (found["x"]["codec"], choice["token"]) == ("H.265", "x")
    assert MEDIA2 in camera.sent[-2]
    camera.says["GetProfiles"] = profiles()
    run = show(camera)
    assert_mistakes(run, f"127.0.0.1:{camera.port}: has a media service, but no profile with a video encoder")
    assert camera.asked[-2:] == ["GetProfiles", "GetProfiles"]


@pytest.mark.parametrize(
    ("answers", "why"),
    [
        ({"GetServices": services("urn:ptz"), "GetCapabilities": envelope("<a/>")}, "has no media service"),
        ({"GetServices": fault("ter:ActionNotSupported"), "GetCapabilities": fault("x")}, "has no media service"),
        ({"GetServices": fault("ter:NotAuthorized")}, "needs a login: give --user and --password-file"),
        ({"GetServices": 401}, "needs a login: give --user and --password-file"),
        ({"GetProfiles": fault("ter:NotAuthorized")}, "needs a login: give --user and --password-file"),
        ({"GetProfiles": fault("ter:Other", "Out of &#x9b; order")}, "answered with an error: Out of ? order"),
    ],
)
def test_each_trouble_has_its_sentence(camera, answers, why):
    """Without a login, without a media service, with an error of its own."""
    camera.says |= answers
    run = show(camera)
    assert_mistakes(run, f"127.0.0.1:{camera.port}: ")
    assert why in run.stderr


@pytest.mark.parametrize("answer", [401, 403, fault("ter:NotAuthorized", "no")])
def test_a_wrong_login(camera, login, answer):
    """The user is named, the password nowhere; Basic, which would show it on the wire, is not answered."""
    camera.says["GetServices"] = answer
    run = show(camera, *login)
    assert_mistakes(run, f"127.0.0.1:{camera.port}: refuses the login of 'watcher': is it a user of ONVIF there")
    assert PASSWORD not in run.stdout + run.stderr
    assert not any(PASSWORD in one or "Basic " in one for one in camera.sent)
    assert "UsernameToken" in camera.sent[-1]
    assert "UsernameToken" not in camera.sent[0]  # the time is asked for without


@pytest.mark.parametrize(
    ("options", "why"),
    [
        (("--user", "a"), "moretta cameras: --password-file: is missing; it goes with --user"),
        (("--password-file", "x"), "moretta cameras: --user: is missing; it goes with --password-file"),
        (("--user", "a", "--password-file", "/none"), "moretta cameras: --password-file: cannot read '/none': No such"),
        (("--user", "a", "--password-file", "/dev/null"), "moretta cameras: --password-file: is empty"),
        (("--ca-file", "/none"), "moretta cameras: --ca-file: is for https; write https://127.0.0.1"),
    ],
)
def test_options_that_cannot_be(camera, options, why):
    """They are said before anything is asked."""
    assert_mistakes(show(camera, *options), why)
    assert camera.asked == []


@pytest.mark.parametrize(
    ("host", "why"),
    [
        ("rtsp://10.0.0.5/", "moretta cameras: HOST: is no address; write HOST, HOST:PORT"),
        ("http://u:hunter2@10.0.0.5", "moretta cameras: HOST: must hold no user and no password"),
        ("169.254.169.254", "169.254.169.254:80: 169.254.169.254 is the address of a cloud's metadata service"),
        ("169.254.7.7", "169.254.7.7:80: 169.254.7.7 is a link-local address; --allow-link-local allows such"),
        ("metadata.google.internal", "metadata.google.internal:80: metadata.google.internal is a cloud's metadata"),
        ("239.255.255.250", "239.255.255.250:80: 239.255.255.250 is a multicast"),
        ("no-such-host.invalid", "no-such-host.invalid:80: no such host is known here; is the camera on"),
    ],
)
def test_hosts_that_are_never_asked(host, why):
    """A metadata service, a link-local address, a name that nobody has."""
    run = moretta("cameras", "show", host)
    assert_mistakes(run, why)
    assert "hunter2" not in run.stderr


def test_nobody_is_there():
    """The port is named, and those where ONVIF often is."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        run = moretta("cameras", "show", f"127.0.0.1:{port}")
    assert_mistakes(run, f"127.0.0.1:{port}: connection refused; is the camera on, and ONVIF switched on at this port")


def test_http_where_tls_was_asked_for(camera):
    """It says that this is no TLS."""
    run = moretta("cameras", "show", f"https://{camera.host}")
    assert_mistakes(run, f"127.0.0.1:{camera.port}: no ONVIF answer: no TLS connection")


SETTINGS = """\
sites:
  - id: one
    profile: lab
    zones:
      - {id: gate}
    cameras:   # ours
      - {id: a, url: "rtsp://10.0.0.5/a"}
"""


@pytest.fixture(name="file")
def _file(tmp_path):
    file = tmp_path / "site.yaml"
    file.write_text(SETTINGS)
    file.chmod(0o640)
    return file


def add(camera, file, *options, name="b"):
    return moretta("cameras", "add", camera.host, "-c", file, "--id", name, *options)


def test_a_camera_is_added(camera, file, login):
    """Two lines more in the settings; the URL with the login in a file of its own, which only its owner may read."""
    camera.says["GetStreamUri"] = uri("rtsp://old:secret@127.0.0.1:8554/{profile}?key=k")
    run = add(camera, file, *login, "--zone", "gate")
    assert run.returncode == 0, run.stderr
    assert file.read_text() == f'{SETTINGS}      - id: b\n        zone: gate\n        url_file: "b.url"\n'
    assert file.stat().st_mode & 0o777 == 0o640
    secret = file.with_name("b.url")
    assert secret.read_text() == f"rtsp://watcher:{PASSWORD}@127.0.0.1:8554/second?key=k\n"
    assert secret.stat().st_mode & 0o777 == 0o600
    assert not re.search("hunter2|secret|key=k", run.stdout + run.stderr)
    assert "stream second of 127.0.0.1" in run.stdout
    assert moretta("check-config", file).returncode == 0
    assert sorted(one.name for one in file.parent.iterdir()) == ["b.url", "password", "site.yaml"]


def test_another_stream_and_how_it_is_analysed(camera, file, tmp_path):
    """What was asked for, where it was asked for; the settings say what is not usual."""
    options = ("--stream", "main", "--url-file", tmp_path / "secrets.url", "--long-side", "960", "--fps", "8")
    assert add(camera, file, *options).returncode == 0
    written = yaml.safe_load(file.read_text())["sites"][0]["cameras"][1]
    assert written == {"id": "b", "url_file": "secrets.url", "long_side": 960, "fps": 8.0}
    assert (tmp_path / "secrets.url").read_text() == "rtsp://127.0.0.1:8554/main\n"


@pytest.mark.parametrize(
    ("options", "name", "why"),
    [
        ((), "a", "{file}: site one has a camera 'a' already; take another --id"),
        ((), "A b", "{file}: sites[0].cameras[1].id: must be"),
        (("--zone", "none"), "b", "{file}: sites[0].cameras[1].zone: "),
        (("--site", "two"), "b", "{file}: has no site 'two'; known are one"),
        (
            ("--stream", "none"),
            "b",
            "moretta cameras: --stream: no usable stream 'none'; the camera has main, second",
        ),
        (("--url-file", "{file}"), "b", "{file}: is there already; name another --url-file, or remove it"),
    ],
)
def test_what_cannot_be_added(camera, file, options, name, why):
    """It says where and what; the settings stay, and no file is left."""
    options = [one.format(file=file) for one in options]
    assert_mistakes(add(camera, file, *options, name=name), why.format(file=file))
    assert file.read_text() == SETTINGS
    assert [one.name for one in file.parent.iterdir()] == ["site.yaml"]


def test_settings_in_braces(camera, file):
    """A file that no line can be added to is left alone; the lines are told."""
    file.write_text("sites: [{id: one, cameras: []}]\n")
    run = add(camera, file)
    assert_mistakes(
        run, f"{file}: has its site in braces, not as lines; write the camera into it yourself: - id: b; url_file"
    )
    assert camera.asked == []


def test_settings_that_change_meanwhile(camera, file):
    """What somebody writes while the camera is asked is not lost."""
    honest, other = camera.answer, SETTINGS + "log: {level: info}\n"

    def answer(request):
        file.write_text(other)
        honest(request)

    camera.answer = answer
    assert_mistakes(add(camera, file), f"{file}: has changed meanwhile; run it again")
    assert file.read_text() == other
    assert [one.name for one in file.parent.iterdir()] == ["site.yaml"]


def test_a_camera_that_lies_is_not_added(camera, file):
    """Nothing is written before there is a stream to write."""
    camera.says["GetStreamUri"] = uri("rtsp://10.9.9.9/a")
    run = add(camera, file)
    assert_mistakes(run, f"127.0.0.1:{camera.port}: none of its streams can be taken; `moretta cameras show 127.0.0.1")
    assert file.read_text() == SETTINGS
    assert [one.name for one in file.parent.iterdir()] == ["site.yaml"]


OURS = 'Digest realm="camera", nonce="abc", qop="auth", algorithm=MD5'
OTHERS = ('Basic realm="camera"', 'Digest realm="camera", nonce="abd", qop="auth", algorithm=SHA-256')


def challenging(honest, challenges):
    """Return what answers with these challenges until a request comes with HTTP Digest."""

    def answer(request):
        if "Digest " in request.headers.get("Authorization", ""):
            honest(request)
            return
        request.rfile.read(int(request.headers["Content-Length"]))
        request.send_response(401)
        for one in challenges:
            request.send_header("WWW-Authenticate", one)
        request.send_header("Content-Length", "0")
        request.end_headers()

    return answer


@pytest.mark.parametrize("challenges", [(OURS,), (*OTHERS, OURS)], ids=["alone", "the last of three"])
def test_a_camera_that_wants_digest(login, challenges):
    """Some ask for HTTP Digest and know no UsernameToken: the password goes over the wire as a digest alone."""
    with LyingCamera() as camera:
        camera.answer = challenging(camera.answer, challenges)
        found, _ = streams(camera, *login)
        assert set(found) == {"main", "second"}
        assert not any(PASSWORD in one for one in camera.sent)
