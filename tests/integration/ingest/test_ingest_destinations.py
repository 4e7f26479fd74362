"""Where a camera may lead ingest, and for how long it may keep it: services.ingest.sources.http_camera."""

import hashlib
import itertools
import re
import socket
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import clips
import pytest
from http_camera import segments
from tls_proxy import TlsProxy

from services.ingest.sources import http_camera as sut
from services.ingest.sources.address import SourceError
from services.ingest.sources.source import open_source
from services.sites.settings import CameraSettings

PASSWORD = "hunter2-s3cret"
CLOUD = "169.254.169.254"
LIMIT_S = 30


class Camera(BaseHTTPRequestHandler):
    """Answers as `server.answers[path]` says: (status, headers, body); the body may be made as it is sent."""

    server: Any

    def do_GET(self) -> None:
        self.server.asked.append((self.path, self.headers.get("Authorization")))
        answer = self.server.answers[self.path.partition("?")[0]]
        status, headers, body = answer(self) if callable(answer) else answer
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        try:
            for part in [body] if isinstance(body, bytes) else body:
                self.wfile.write(part)
        except OSError:
            pass  # nobody reads it any more

    def log_message(self, *_: object) -> None:
        pass


class Site:
    """A served camera; `url(path)` is where, `answers` and `asked` are what it says and what it was asked."""

    def __init__(self) -> None:
        self.server: Any = ThreadingHTTPServer(("127.0.0.1", 0), Camera)
        self.server.answers, self.server.asked = {}, []
        self.server.handle_error = lambda *_: None
        self.answers, self.asked = self.server.answers, self.server.asked
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.02,))
        self.thread.start()

    def url(self, path: str, user: str = "") -> str:
        return f"http://{user}127.0.0.1:{self.server.server_port}{path}"


@pytest.fixture(name="site")
def _site() -> Iterator[Site]:
    site = Site()
    yield site
    site.server.shutdown()
    site.thread.join()
    site.server.server_close()


@pytest.fixture(name="names", autouse=True)
def _names(monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """Names of the tests and what they stand for; nothing but loopback is connected to."""
    known, real, connect = dict[str, str](), socket.getaddrinfo, socket.create_connection

    def resolved(host: str, port: Any, *args: Any, **more: Any) -> Any:
        return real(known.get(host, host), port, *args, **more)

    def connected(address: tuple[str, int], *args: Any, **more: Any) -> socket.socket:
        assert address[0] in {"127.0.0.1", "::1"}, "somebody led us elsewhere"
        return connect(address, *args, **more)

    monkeypatch.setattr(socket, "getaddrinfo", resolved)
    monkeypatch.setattr(socket, "create_connection", connected)
    return known


def camera(url: str, **more: Any) -> CameraSettings:
    return CameraSettings(id="cam", url=url, open_timeout_s=3.0, read_timeout_s=3.0, **more)


def failure(url: str, **more: Any) -> SourceError:
    with pytest.raises(SourceError) as caught, open_source(camera(url, **more)) as source:
        list(source.packets())
    assert PASSWORD not in str(caught.value)
    return caught.value


def stream(tmp_path: Any) -> tuple[int, dict[str, str], bytes]:
    clip = clips.make_clip(tmp_path / "clip.ts", pictures=10)
    return 200, {"Content-Type": "video/mp2t"}, clip.read_bytes()


def playlist(*lines: str) -> tuple[int, dict[str, str], bytes]:
    text = "\n".join(["#EXTM3U", "#EXT-X-TARGETDURATION:1", *lines, "#EXT-X-ENDLIST", ""])
    return 200, {"Content-Type": "application/vnd.apple.mpegurl"}, text.encode()


@pytest.mark.parametrize(
    "host", [CLOUD, "2852039166", "0xa9fea9fe", "169.254.43518", f"[::ffff:{CLOUD}]", "[fd00:ec2::254]", "gate.test"]
)
@pytest.mark.parametrize("scheme", ["http", "https", "rtsp", "rtsps"])
def test_no_camera_is_at_a_metadata_service(names: dict[str, str], scheme: str, host: str):
    """However the address is written, and whoever's name stands for it; also where link-local ones are allowed."""
    names["gate.test"] = CLOUD
    error = failure(f"{scheme}://cam:{PASSWORD}@{host}/latest/meta-data", allow_link_local=True)
    assert error.reason == "bad-source"
    assert "metadata service" in error.message


def test_link_local_cameras_are_allowed_on_request(names: dict[str, str]):
    """`allow_link_local` is for a camera that no DHCP server knows."""
    names["gate.test"] = "169.254.7.7"
    assert "link-local" in failure("rtsp://gate.test/1").message
    with pytest.raises(AssertionError, match="elsewhere"):  # it would be connected to
        failure("http://gate.test/1", allow_link_local=True)


@pytest.mark.parametrize(
    "target",
    [
        f"http://{CLOUD}/latest",
        "http://gate.test/latest",
        "file:///etc/passwd",
        "ftp://127.0.0.1/x",
        "rtsp://127.0.0.1/x",
    ],
)
def test_a_redirection_leads_to_no_other_place(site: Site, names: dict[str, str], target: str):
    """Neither to a metadata service, under whatever name, nor to anything but HTTP."""
    names["gate.test"] = CLOUD
    site.answers["/"] = (302, {"Location": target}, b"")
    assert failure(site.url("/")).reason in {"bad-source", "other"}


def test_a_redirection_to_a_camera_is_followed_without_the_password(site: Site, tmp_path):
    """Some cameras name the stream's address so; a password is for the server that it was given for."""
    other = Site()
    site.answers["/"] = (302, {"Location": "/again?cookieCheck=1"}, b"")
    site.answers["/again"] = (307, {"Location": other.url("/stream")}, b"")
    other.answers["/stream"] = stream(tmp_path)
    with open_source(camera(site.url("/", f"cam:{PASSWORD}@"))) as source:
        assert len(list(source.packets())) == 10
    assert other.asked == [("/stream", None)]
    site.answers["/"] = (302, {"Location": "/"}, b"")
    assert failure(site.url("/")).reason == "other"
    other.server.shutdown()
    other.thread.join()
    other.server.server_close()


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_what_a_redirection_says_beside_is_not_read(site: Site, tmp_path, status: int):
    """urllib would read a body without an end into memory until the time is over."""
    held = threading.Event()

    def endless(asked: Camera) -> tuple[int, dict[str, str], Iterator[bytes]]:
        asked.close_connection = True

        def body() -> Iterator[bytes]:
            for _ in range(200):
                yield bytes(1 << 20)
            held.set()  # all of it was taken

        return status, {"Location": site.url("/cam.ts")}, body()

    site.answers |= {"/": endless, "/cam.ts": stream(tmp_path)}
    with open_source(camera(site.url("/"))) as source:
        assert next(source.packets()) is not None
    assert not held.is_set()


@pytest.mark.parametrize(
    "answer",
    [
        (401, {"WWW-Authenticate": "Digest realm="}, b""),
        (401, {"WWW-Authenticate": 'Digest realm="a", nonce='}, b""),
        (401, {"WWW-Authenticate": "Digest ="}, b""),
        (302, {"Location": "http://127.0.0.1:99999999999999999999/"}, b""),
    ],
)
def test_an_answer_that_urllib_stumbles_on_is_an_error_of_the_camera(site: Site, answer):
    """No exception of another kind, which would be a traceback in the log at each attempt."""
    site.answers["/"] = answer
    assert failure(site.url("/", f"u:{PASSWORD}@")).reason == "other"


@pytest.mark.parametrize(
    "named",
    [
        "file://{clip}", "{clip}", "concat:{clip}", "subfile:,,start,0,end,0,,:{clip}", "crypto:{clip}", "async:{clip}",
        "cache:{clip}", "data:video/mp2t;base64,AAAA", f"http://{CLOUD}/a.ts", "http://gate.test/a.ts",
        "{site}/moved.ts",
    ],
)  # fmt: skip
def test_a_playlist_leads_to_no_other_place(site: Site, names: dict[str, str], tmp_path, named: str):
    """Not to a file that is a film, in any of FFmpeg's spellings, nor to a metadata service, redirected or not."""
    names["gate.test"] = CLOUD
    stream(tmp_path)
    site.answers["/moved.ts"] = (302, {"Location": f"http://{CLOUD}/a.ts"}, b"")
    site.answers["/live.m3u8"] = playlist(
        "#EXTINF:1,", named.format(clip=tmp_path / "clip.ts", site=site.url("")), "#EXTINF:1,", "end.ts"
    )
    assert failure(site.url("/live.m3u8")).reason in {"bad-source", "undecodable", "no-video", "other"}


def test_a_list_of_streams_is_no_stream(site: Site):
    """FFmpeg's own lists, and session descriptions, are not taken from a camera."""
    for text in (
        "ffconcat version 1.0\nfile 'http://127.0.0.1/a.ts'\n",
        "v=0\r\no=- 0 0 IN IP4 127.0.0.1\r\ns=x\r\nm=video 9 RTP/AVP 96\r\n",
    ):
        site.answers["/"] = (200, {"Content-Type": "video/mp2t"}, text.encode() * 1)
        assert failure(site.url("/")).reason in {"undecodable", "other"}
    assert len(site.asked) == 2


def test_https_stays_https_and_proves_who_it_is(site: Site, tmp_path):
    """With its certificate, or unproven where that was said; nothing leads from there to a connection in the clear."""
    site.answers["/"] = stream(tmp_path)
    site.answers["/clear"] = (302, {"Location": site.url("/")}, b"")
    site.answers["/live.m3u8"] = playlist("#EXTINF:1,", site.url("/a.ts"))
    proxy = TlsProxy(site.server.server_port, tmp_path)
    secure = f"https://127.0.0.1:{proxy.port}"
    try:
        for trust in ({"ca_file": str(proxy.ca_file)}, {"tls_verify": False}):
            with open_source(camera(f"{secure}/", **trust)) as source:
                assert len(list(source.packets())) == 10
            for path in ("/clear", "/live.m3u8"):
                error = failure(secure + path, **trust)
                assert (error.reason, "without TLS" in error.message) == ("bad-source", True)
        assert "not trusted" in failure(f"{secure}/").message
    finally:
        proxy.close()


def test_a_digest_proves_the_password(site: Site, tmp_path):
    """RFC 7616 with MD5, as most cameras have it: the password does not travel; a wrong one is `unauthorised`."""

    def answer(request: Camera) -> tuple[int, dict[str, str], bytes]:
        given = dict(re.findall(r'(\w+)="?([^",]+)', request.headers.get("Authorization", "")))
        parts = [f"cam:gate:{PASSWORD}", f"GET:{request.path}"]
        ha1, ha2 = (hashlib.md5(part.encode(), usedforsecurity=False).hexdigest() for part in parts)
        wanted = ":".join([ha1, "n0nce", given.get("nc", ""), given.get("cnonce", ""), "auth", ha2])
        if given.get("response") == hashlib.md5(wanted.encode(), usedforsecurity=False).hexdigest():
            return stream(tmp_path)
        return 401, {"WWW-Authenticate": 'Digest realm="gate", nonce="n0nce", qop="auth"'}, b"no"

    site.answers["/"] = answer
    with open_source(camera(site.url("/?a=b", f"cam:{PASSWORD}@"))) as source:
        assert len(list(source.packets())) == 10
    assert failure(site.url("/", "cam:another@")).reason == "unauthorised"
    site.answers["/"] = (401, {"WWW-Authenticate": "Negotiate"}, b"")
    assert failure(site.url("/", f"cam:{PASSWORD}@")).reason == "other"


def slowly(data: bytes) -> Iterator[bytes]:
    for byte in itertools.chain(data, itertools.repeat(0x61)):
        time.sleep(0.1)
        yield bytes([byte])


@pytest.mark.parametrize("what", ["head", "body", "packet"])
def test_a_camera_that_drips_keeps_nobody(site: Site, tmp_path, what: str):
    """A byte now and then is no stream: the head has the time of opening, a picture that of reading."""
    whole = stream(tmp_path)[2]
    site.answers["/head"] = (200, {"Content-Type": "video/mp2t\r\nX: " + "a" * 9}, b"")
    site.answers["/body"] = (200, {"Content-Type": "video/mp2t"}, slowly(b"G"))
    site.answers["/packet"] = (200, {"Content-Type": "video/mp2t"}, itertools.chain([whole], slowly(b"G")))
    if what == "head":
        site.answers["/head"] = lambda request: request.wfile.writelines(slowly(b"HTTP/1.1 200 OK\r\nX: "))
    began = time.monotonic()
    assert failure(site.url(f"/{what}")).reason == "timeout"
    assert 2.5 < time.monotonic() - began < LIMIT_S


def test_a_picture_without_an_end_takes_bounded_memory(site: Site, monkeypatch: pytest.MonkeyPatch):
    """What a camera calls one picture of ten gigabytes is given up."""
    monkeypatch.setattr(sut, "MAX_BYTES", 8 << 20)
    head = b"--b\r\nContent-Type: image/jpeg\r\nContent-Length: 9999999999\r\n\r\n"
    parts = itertools.chain([head], itertools.repeat(bytes(65_536)))
    site.answers["/"] = (200, {"Content-Type": "multipart/x-mixed-replace; boundary=b"}, parts)
    error = failure(site.url("/"))
    assert (error.reason, "8 MiB came without a picture" in error.message) == ("undecodable", True)


def test_hls_goes_on_where_a_segment_is_missing(site: Site, tmp_path):
    """As with FFmpeg's own connections."""
    folder = segments(clips.make_clip(tmp_path / "clip.mp4", pictures=75), tmp_path / "hls")
    for part in (0, 2):
        site.answers[f"/part{part}.ts"] = (200, {}, (folder / f"part{part}.ts").read_bytes())
    site.answers["/part1.ts"] = (404, {}, b"")
    lines = [line for part in range(3) for line in ("#EXTINF:1,", f"part{part}.ts")]
    site.answers["/live.m3u8"] = playlist(*lines)
    with open_source(camera(site.url("/live.m3u8"))) as source:
        assert len(list(source.packets())) == 50
