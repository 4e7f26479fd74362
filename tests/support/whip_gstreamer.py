"""A WHIP publisher for tests: GStreamer's webrtcbin, which has an RSA certificate, sends a moving test picture.

Runs under Debian's own Python: see PACKAGES in whip.py.
usage: whip_gstreamer.py URL TOKEN       (prints "published LOCATION"; ends with its standard input)
       whip_gstreamer.py --probe         (exit 0 if all it needs is installed)
"""

import ssl
import sys
import threading
import urllib.request

import gi

for name in ("Gst", "GstWebRTC", "GstSdp"):
    gi.require_version(name, "1.0")
from gi.repository import GLib, Gst, GstSdp, GstWebRTC  # noqa: E402

ELEMENTS = ("webrtcbin", "nicesrc", "dtlssrtpdec", "x264enc", "rtph264pay", "videotestsrc")
PIPELINE = (
    "webrtcbin name=peer bundle-policy=max-bundle "
    "videotestsrc is-live=true pattern=ball ! video/x-raw,format=I420,width=320,height=180,framerate=25/1 "
    "! x264enc tune=zerolatency speed-preset=ultrafast key-int-max=50 bitrate=500 "
    "! video/x-h264,profile=constrained-baseline ! rtph264pay aggregate-mode=zero-latency config-interval=-1 "
    "! application/x-rtp,media=video,encoding-name=H264,payload=96 ! peer."
)


def publish(peer, url, token):
    """Send the offer with all candidates, and take the answer."""
    offer = peer.get_property("local-description").sdp.as_text()
    headers = {"Content-Type": "application/sdp", "Authorization": f"Bearer {token}"}
    request = urllib.request.Request(url, offer.encode(), headers)
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with urllib.request.urlopen(request, timeout=10, context=context) as reply:
        _, sdp = GstSdp.SDPMessage.new_from_text(reply.read().decode())
        location = reply.headers["Location"]
    answer = GstWebRTC.WebRTCSessionDescription.new(GstWebRTC.WebRTCSDPType.ANSWER, sdp)
    peer.emit("set-remote-description", answer, Gst.Promise.new())
    print("published", location, flush=True)


def main(url, token):
    """Publish until standard input is closed."""
    pipeline = Gst.parse_launch(PIPELINE)
    peer = pipeline.get_by_name("peer")

    def gathered(*_):
        if peer.get_property("ice-gathering-state") == GstWebRTC.WebRTCICEGatheringState.COMPLETE:
            threading.Thread(target=publish, args=(peer, url, token)).start()

    def offered(promise, *_):
        promise.wait()
        reply = promise.get_reply()  # the offer lives in it
        peer.emit("set-local-description", reply.get_value("offer"), Gst.Promise.new())

    peer.connect("notify::ice-gathering-state", gathered)
    peer.connect(
        "on-negotiation-needed",
        lambda _: peer.emit("create-offer", None, Gst.Promise.new_with_change_func(offered)),
    )
    pipeline.set_state(Gst.State.PLAYING)
    loop = GLib.MainLoop()
    GLib.io_add_watch(0, GLib.PRIORITY_DEFAULT, GLib.IOCondition.IN | GLib.IOCondition.HUP, lambda *_: loop.quit())
    loop.run()
    pipeline.set_state(Gst.State.NULL)


if __name__ == "__main__":
    Gst.init(None)
    if sys.argv[1:] == ["--probe"]:
        sys.exit(", ".join(name for name in ELEMENTS if Gst.ElementFactory.find(name) is None) or 0)
    main(*sys.argv[1:])
