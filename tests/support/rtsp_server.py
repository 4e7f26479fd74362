"""A real RTSP server for tests: a looped H.264 clip without re-encoding at /cam, and MJPEG at /mjpeg.

Beside CLIP.mp4 may lie h265.mp4, served at /h265, and small.mp4, which /resized has after CLIP in one stream.
/keyless has no key frame until SIGUSR1.

Runs under Debian's own Python, which has GStreamer's bindings: see PACKAGES in rtsp.py.
usage: rtsp_server.py CLIP.mp4 HOST PORT none|basic|digest [USER PASSWORD]      (port 0: any; prints "ready PORT")
       rtsp_server.py --probe                                              (exit 0 if all it needs is installed)
It ends when its standard input is closed, so that it never outlives the test.
"""

import signal
import sys
from pathlib import Path

import gi

for name in ("Gst", "GstRtspServer", "GstRtsp", "GstApp"):
    gi.require_version(name, "1.0")
from gi.repository import GLib, Gst, GstApp, GstRtsp, GstRtspServer  # noqa: E402, F401 -- GstApp gives appsink its methods

ELEMENTS = (
    "appsrc", "videotestsrc", "qtdemux", "h264parse", "rtph264pay", "h265parse", "rtph265pay", "jpegenc", "rtpjpegpay",
)  # fmt: skip
PULL_LIMIT = 5 * Gst.SECOND


keys_come = False
"""Whether /keyless has key frames."""


def load(path, codec="h264"):
    """Return the clip's access units, each with whether it is a key frame, and their caps."""
    pipeline = Gst.parse_launch(
        f'filesrc location="{path}" ! qtdemux ! {codec}parse config-interval=-1 ! '
        f"video/x-{codec},stream-format=byte-stream,alignment=au ! appsink name=sink sync=false"
    )
    sink = pipeline.get_by_name("sink")
    pipeline.set_state(Gst.State.PLAYING)
    units, caps = [], None
    while (sample := sink.try_pull_sample(PULL_LIMIT)) is not None:
        buffer, caps = sample.get_buffer(), sample.get_caps()
        is_key = not buffer.has_flags(Gst.BufferFlags.DELTA_UNIT)
        units.append((buffer.extract_dup(0, buffer.get_size()), is_key))
    pipeline.set_state(Gst.State.NULL)
    return units, caps


def duration_of(caps):
    """Return one picture's duration in ns."""
    _, numerator, denominator = caps.get_structure(0).get_fraction("framerate")
    return Gst.SECOND * denominator // numerator


class Clip(GstRtspServer.RTSPMediaFactory):
    """Plays the access units for ever, one per picture's duration, starting with the first (a key frame)."""

    def __init__(self, units, caps, codec="h264", *, keyless=False, shared=True):
        super().__init__()
        self.units, self.duration, self.keyless = units, duration_of(caps), keyless
        parse = "" if keyless else f"! {codec}parse config-interval=1"  # it would wait for a key frame
        self.set_shared(shared)
        self.set_launch(
            f'( appsrc name=source is-live=true format=time do-timestamp=true caps="{caps.to_string()}" '
            f"{parse} ! rtp{codec}pay name=pay0 pt=96 )"
        )
        self.connect("media-configure", self.configure)

    def configure(self, _factory, media):
        source = media.get_element().get_by_name_recurse_up("source")
        position = iter(range(1 << 60))

        def push():
            unit, is_key = self.units[next(position) % len(self.units)]
            if is_key and self.keyless and not keys_come:
                return True
            buffer = Gst.Buffer.new_wrapped(unit)
            buffer.duration = self.duration
            return source.emit("push-buffer", buffer) == Gst.FlowReturn.OK

        GLib.timeout_add(self.duration // Gst.MSECOND, push)


def mjpeg():
    """Return a factory of a moving test picture as MJPEG."""
    factory = GstRtspServer.RTSPMediaFactory()
    factory.set_shared(True)
    factory.set_launch(
        "( videotestsrc is-live=true pattern=ball ! video/x-raw,format=I420,width=640,height=360,framerate=15/1 "
        "! jpegenc ! rtpjpegpay name=pay0 pt=26 )"
    )
    return factory


def protect(server, factories, method, user, password):
    """Ask for a user and a password."""
    token = GstRtspServer.RTSPToken()
    token.set_string("media.factory.role", "viewer")
    auth = GstRtspServer.RTSPAuth()
    if method == "basic":
        auth.set_supported_methods(GstRtsp.RTSPAuthMethod.BASIC)
        auth.add_basic(GstRtspServer.RTSPAuth.make_basic(user, password), token)
    else:
        auth.set_supported_methods(GstRtsp.RTSPAuthMethod.DIGEST)
        auth.add_digest(user, password, token)
    server.set_auth(auth)
    permissions = GstRtspServer.RTSPPermissions()
    permissions.add_role("viewer")
    for permission in ("media.factory.access", "media.factory.construct"):
        permissions.add_permission_for_role("viewer", permission, True)
    for factory in factories:
        factory.set_permissions(permissions)


def factories_of(path):
    """Return what is served at which path."""
    units, caps = load(path)
    found = {"/cam": Clip(units, caps), "/mjpeg": mjpeg(), "/keyless": Clip(units, caps, keyless=True)}
    found["/alone"] = Clip(units, caps, shared=False)  # where a client that is lost holds up no other one
    if (small := Path(path).with_name("small.mp4")).exists():
        found["/resized"] = Clip(units + load(small)[0], caps)
    if (other := Path(path).with_name("h265.mp4")).exists():
        found["/h265"] = Clip(*load(other, "h265"), "h265")
    return found


def give_keys():
    """Let key frames come from now on."""
    global keys_come  # noqa: PLW0603
    keys_come = True
    return True


def main(path, host, port, method="none", user="", password=""):
    """Serve until standard input is closed."""
    factories = factories_of(path)
    server = GstRtspServer.RTSPServer()
    server.set_address(host)
    server.set_service(port)
    for mount, factory in factories.items():
        server.get_mount_points().add_factory(mount, factory)
    if method != "none":
        protect(server, factories.values(), method, user, password)
    if not server.attach(None):
        sys.exit(f"port {port} is taken")
    loop = GLib.MainLoop()
    GLib.unix_signal_add(GLib.PRIORITY_DEFAULT, signal.SIGUSR1, give_keys)
    GLib.io_add_watch(0, GLib.PRIORITY_DEFAULT, GLib.IOCondition.IN | GLib.IOCondition.HUP, lambda *_: loop.quit())
    print("ready", server.get_bound_port(), flush=True)
    loop.run()


if __name__ == "__main__":
    Gst.init(None)
    if sys.argv[1:] == ["--probe"]:
        sys.exit(", ".join(name for name in ELEMENTS if Gst.ElementFactory.find(name) is None) or 0)
    main(*sys.argv[1:])
