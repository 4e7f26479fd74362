"""Opening sources with PyAV: services.ingest.sources.source."""

import errno
import os
import threading
from fractions import Fraction
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import SimpleNamespace
from typing import ClassVar

import av
import clips
import pytest

from services.ingest.sources.address import SourceError, address_of
from services.ingest.sources.source import Source, open_source
from services.sites.settings import CameraSettings

PASSWORD = "hunter2-s3cret"


def camera(url, **more):
    return CameraSettings(id="cam", url=str(url), open_timeout_s=3.0, read_timeout_s=3.0, **more)


def failure(url):
    """The error of opening a source that can't be opened."""
    with pytest.raises(SourceError) as caught, open_source(camera(url)):
        pass
    return caught.value


def jpegs(count=20):
    """JPEG pictures, as an MJPEG camera sends them."""
    encoder = av.CodecContext.create("mjpeg", "w")
    encoder.width, encoder.height, encoder.pix_fmt = 320, 180, "yuvj420p"
    encoder.time_base = Fraction(1, 25)
    made = []
    for index in range(count):
        frame = av.VideoFrame.from_ndarray(clips.pattern(320, 180, index), format="rgb24").reformat(format="yuvj420p")
        frame.pts = index
        made += [bytes(packet) for packet in encoder.encode(frame)]
    return made


class _Camera(BaseHTTPRequestHandler):
    """A camera that speaks MJPEG over HTTP: multipart/x-mixed-replace, with Basic authentication at /private."""

    pictures: ClassVar[list[bytes]] = []
    hang = threading.Event()

    def do_GET(self):
        if self.path == "/missing":
            self.send_error(404)
        elif self.path == "/private" and "Authorization" not in self.headers:
            self.send_response(401)
            self.send_header("WWW-Authenticate", 'Basic realm="camera"')
            self.end_headers()
        elif self.path == "/private" and self.headers["Authorization"] != "Basic Y2FtOnJpZ2h0":  # cam:right
            self.send_error(401)
        elif self.path == "/forbidden":
            self.send_error(403)
        elif self.path == "/hang":
            self.hang.wait(30)
        elif self.path == "/steal":
            self.send_response(302)
            self.send_header("Location", "file:///etc/passwd")
            self.end_headers()
        elif self.path == "/playlist":
            self._send("application/vnd.apple.mpegurl", b"#EXTM3U\n#EXTINF:1,\nfile:///etc/passwd\n")
        else:
            self._stream()

    def _send(self, kind, body):
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.end_headers()
        self.wfile.write(body)

    def _stream(self):
        part = b"--b\r\nContent-Type: image/jpeg\r\nContent-Length: %d\r\n\r\n%s\r\n"
        self._send("multipart/x-mixed-replace; boundary=b", b"".join(part % (len(p), p) for p in self.pictures))

    def log_message(self, *args):
        pass


@pytest.fixture(name="http_camera")
def _http_camera():
    """A real HTTP server on an ephemeral port; its host:port."""
    _Camera.pictures = jpegs()
    _Camera.hang = threading.Event()
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Camera)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    yield f"127.0.0.1:{server.server_port}"
    _Camera.hang.set()
    server.shutdown()
    thread.join()
    server.server_close()


def test_a_file_is_read_to_its_end(tmp_path):
    """Every packet with content comes, and the end of a file is no error."""
    path = clips.make_clip(tmp_path / "clip.mp4", pictures=20)
    with open_source(camera(path)) as source:
        assert source.is_file
        assert len(list(source.packets())) == 20


def test_a_files_length_is_known(tmp_path):
    """A recording's container tells its length in seconds."""
    with open_source(camera(clips.make_clip(tmp_path / "clip.mp4", pictures=50))) as source:
        assert source.duration_s == pytest.approx(2.0, abs=0.1)


@pytest.mark.parametrize("form", ["{path}", "file://{path}", "clip.mp4"])
def test_forms_of_a_files_path(tmp_path, monkeypatch, form):
    """Absolute, file:// and relative paths all name the file."""
    path = clips.make_clip(tmp_path / "clip.mp4", pictures=2)
    monkeypatch.chdir(tmp_path)
    with open_source(camera(form.format(path=path))) as source:
        assert source.is_file


def test_a_files_name_is_never_a_protocol(tmp_path, monkeypatch):
    """A file called `concat:a.mp4` is just a file: FFmpeg must not read a protocol out of its name."""
    monkeypatch.chdir(tmp_path)
    clips.make_clip(tmp_path / "clip.mp4", pictures=2).rename(tmp_path / "concat:clip.mp4")
    with open_source(camera("concat:clip.mp4")) as source:
        assert len(list(source.packets())) == 2


def test_a_missing_file_is_named(tmp_path):
    """The error says which path does not exist."""
    error = failure(tmp_path / "no" / "clip.mp4")
    assert error.reason == "not-found"
    assert str(tmp_path / "no" / "clip.mp4") in error.message


def test_an_unreadable_file_is_unauthorised(tmp_path, monkeypatch):
    """A file without read permission says so (the refusal is provoked: the superuser may read everything)."""
    path = clips.make_clip(tmp_path / "clip.mp4", pictures=2)

    def refuse(*args, **kwargs):
        raise av.error.PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr("services.ingest.sources.source.av.open", refuse)
    error = failure(path)
    assert error.reason == "unauthorised"
    assert str(path) in error.message


def test_a_directory_and_a_pipe_are_no_source(tmp_path):
    """What is not a regular file is refused at once; opening a pipe would block for ever."""
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path, tmp_path / "pipe"):
        error = failure(path)
        assert (error.reason, error.message) == ("bad-source", f"{path} is not a regular file")


def test_an_empty_file_and_a_text_are_undecodable(tmp_path):
    """Neither a zero-byte file nor a text is a video, and the message is one line with the path."""
    for name, content in (("empty.mp4", b""), ("text.mp4", b"no video here\n" * 200)):
        (tmp_path / name).write_bytes(content)
        error = failure(tmp_path / name)
        assert error.reason in {"undecodable", "end-of-stream"}
        assert name in error.message
        assert "\n" not in error.message


def test_a_file_without_video_is_said(tmp_path):
    """An audio recording opens, and has no video stream."""
    error = failure(clips.make_sound(tmp_path / "sound.m4a"))
    assert (error.reason, error.message) == ("no-video", f"{tmp_path / 'sound.m4a'} has no video stream")


def test_a_truncated_recording_gives_what_is_left(tmp_path):
    """An MPEG-TS cut in the middle is read up to the cut."""
    path = clips.make_truncated(tmp_path / "clip.ts", keep=0.5, pictures=50)
    with open_source(camera(path)) as source:
        assert 10 < len(list(source.packets())) < 50


def test_a_truncated_mp4_is_undecodable(tmp_path):
    """An MP4 whose index is cut off can't be read, and the message names it."""
    error = failure(clips.make_truncated(tmp_path / "clip.mp4", keep=0.5))
    assert error.reason == "undecodable"
    assert str(tmp_path / "clip.mp4") in error.message


@pytest.mark.parametrize("url", ["ftp://host/clip.mp4", "rtmp://host/live", "data://x", "gopher://host/", "srt://h:1"])
def test_other_schemes_are_refused(url):
    """A scheme that is not on the list is refused before FFmpeg sees it, and the message lists the right ones."""
    error = failure(url)
    assert error.reason == "bad-source"
    assert "rtsp://" in error.message
    assert "/dev/videoN" in error.message


@pytest.mark.parametrize(
    "url",
    [
        f"rtsp://u:{PASSWORD}/x@host/1",
        "rtsp://",
        "rtsp://host:port/1",
        "http://[bad/1",
        f"rtsp://u:a@{PASSWORD}#1@host/1",  # which names the password as its host
        f"rtsp://u:a@{PASSWORD}@host/1",
        f"rtsp://host/1#{PASSWORD}",
    ],
)
def test_malformed_urls_are_refused_without_an_echo(url):
    """A URL that can't be read is refused with a hint; what might be a password is not repeated."""
    error = failure(url)
    assert error.reason == "bad-source"
    assert "percent-encoded" in error.message
    assert PASSWORD not in str(error)


def test_a_device_is_opened_through_v4l2():
    """A video device is opened with FFmpeg's v4l2, under any of its names; a missing one is named."""
    for path in ("/dev/video97", "/dev/v4l/by-id/usb-cam-index0"):
        address = address_of(camera(path))
        assert (address.kind, address.format, address.location) == ("device", "v4l2", path)
        error = failure(path)
        assert (error.reason, error.message) == ("not-found", f"{path} does not exist")


def test_v4l2_is_in_this_ffmpeg():
    """The FFmpeg in PyAV's wheel has the v4l2 input."""
    assert av.format.ContainerFormat("v4l2", "r").is_input


def test_the_label_has_no_credentials():
    """What names a source in messages and logs has host and port, and neither user nor password nor path nor query."""
    address = address_of(camera(f"rtsp://user:{PASSWORD}@10.0.0.9:8554/cam1?token={PASSWORD}"))
    assert address.label == "rtsp://10.0.0.9:8554"
    assert PASSWORD not in repr(address)
    assert address_of(camera(f"http://u:{PASSWORD}@[::1]:80/")).label == "http://[::1]:80"
    assert PASSWORD not in failure(f"rtsp://127.0.0.1:9/{PASSWORD}").message


@pytest.mark.parametrize("transport", ["tcp", "udp"])
def test_rtsp_transport_is_the_settings(transport):
    """RTSP always has its transport set; FFmpeg's own default is UDP."""
    assert address_of(camera("rtsp://host/1", transport=transport)).options["rtsp_transport"] == transport


def test_mjpeg_over_http(http_camera):
    """A real multipart MJPEG stream is read until the camera closes it."""
    with open_source(camera(f"http://{http_camera}/")) as source:
        assert not source.is_file
        assert len(list(source.packets())) >= 18


def test_right_password_over_http(http_camera):
    """The URL's user and password open a stream behind Basic authentication."""
    with open_source(camera(f"http://cam:right@{http_camera}/private")) as source:
        assert next(source.packets()).size


@pytest.mark.parametrize(
    ("path", "reason"),
    [("private", "unauthorised"), ("forbidden", "unauthorised"), ("missing", "not-found"), ("hang", "timeout")],
)
def test_http_errors_have_their_reasons(http_camera, path, reason):
    """401, 403, 404 and a hanging server are told apart, and no message has the password."""
    error = failure(f"http://cam:{PASSWORD}@{http_camera}/{path}")
    assert error.reason == reason
    assert PASSWORD not in f"{error!r} {error} {error.__cause__!r} {error.__context__ if error.__cause__ else ''}"


@pytest.mark.parametrize("path", ["steal", "playlist"])
def test_a_server_can_not_make_us_read_local_files(http_camera, path):
    """Neither a redirection nor a playlist to file:// is followed."""
    assert failure(f"http://{http_camera}/{path}").reason in {"bad-source", "undecodable", "other", "no-video"}


def test_nobody_listening_is_refused():
    """A closed port is `refused`."""
    error = failure(f"rtsp://cam:{PASSWORD}@127.0.0.1:9/cam1")
    assert error.reason == "refused"
    assert PASSWORD not in str(error)


def test_an_unknown_host_is_an_error_without_the_password():
    """A name that doesn't resolve is reported with the host's name."""
    error = failure(f"rtsp://cam:{PASSWORD}@no-such-host.invalid/cam1")
    assert "no-such-host.invalid" in error.message
    assert PASSWORD not in str(error)


def test_a_device_without_pictures_is_given_up():
    """It is asked without blocking, since no time limit would end that: None in between, and then a time-out."""
    address = address_of(camera("/dev/video97"))
    assert address.options == {"fflags": "+4"}  # FFmpeg has no name for AVFMT_FLAG_NONBLOCK there
    packet = SimpleNamespace(stream_index=0, size=7)
    left, seen = [packet, packet], []

    def demux():  # as FFmpeg's v4l2 does where there is a device
        if left:
            yield left.pop()
        raise av.error.BlockingIOError(errno.EAGAIN, "Resource temporarily unavailable")

    source = Source(address, SimpleNamespace(demux=demux), SimpleNamespace(index=0), 0.3)
    with pytest.raises(SourceError) as caught:
        seen.extend(source.packets())
    assert [one for one in seen if one is not None] == [packet, packet]
    assert seen.count(None) > 3
    assert caught.value.reason == "timeout"
