"""An ONVIF camera that lies, on a thread of its own: what it answers to each question is what the test says."""

import re
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Self

QUESTIONS = (
    "GetSystemDateAndTime", "GetServices", "GetCapabilities", "GetProfiles", "GetStreamUri", "GetDeviceInformation",
)  # fmt: skip
PASSWORD = "hunter2-hunter2"
MEDIA, MEDIA2 = ("http://www.onvif.org/ver10/media/wsdl", "http://www.onvif.org/ver20/media/wsdl")


def envelope(inner: str) -> bytes:
    """Return an answer."""
    named = 'xmlns:s="http://www.w3.org/2003/05/soap-envelope"'
    return f'<?xml version="1.0"?><s:Envelope {named}><s:Body>{inner}</s:Body></s:Envelope>'.encode()


def services(*namespaces: str, at: str = "http://192.0.2.1:1/onvif/media") -> bytes:
    """Return the services of a camera behind NAT: its own address is of no use here."""
    listed = "".join(f"<Service><Namespace>{one}</Namespace><XAddr>{at}</XAddr></Service>" for one in namespaces)
    return envelope(f"<GetServicesResponse>{listed}</GetServicesResponse>")


def profile(token: str, width: object, height: object, fps: object, name: str = "", codec: str = "H264") -> str:
    """Return a profile of the first media service."""
    size = f"<Resolution><Width>{width}</Width><Height>{height}</Height></Resolution>"
    rate = f"<RateControl><FrameRateLimit>{fps}</FrameRateLimit></RateControl>"
    encoder = f"<VideoEncoderConfiguration><Encoding>{codec}</Encoding>{size}{rate}</VideoEncoderConfiguration>"
    return f"<Profiles token='{token}'><Name>{name or token}</Name>{encoder}</Profiles>"


def profiles(*each: str) -> bytes:
    return envelope(f"<GetProfilesResponse>{''.join(each)}</GetProfilesResponse>")


def uri(text: str) -> bytes:
    """Return the address of a stream."""
    return envelope(f"<GetStreamUriResponse><MediaUri><Uri>{text}</Uri></MediaUri></GetStreamUriResponse>")


def fault(code: str, text: str = "") -> bytes:
    inner = f"<s:Code><s:Value>s:Sender</s:Value><s:Subcode><s:Value>{code}</s:Value></s:Subcode></s:Code>"
    return envelope(f"<s:Fault>{inner}<s:Reason><s:Text>{text}</s:Text></s:Reason></s:Fault>")


class LyingCamera:
    """`with LyingCamera() as camera`: an honest camera with two streams, but for what `camera.says` holds by question.

    An answer is bytes, a number (an HTTP status, with `Location` for a redirect), or a fault: `endless`, `drip`,
    `hang`, `garbage`. `{port}` in it is its own port, `{profile}` the profile that was asked for.
    """

    def __init__(self) -> None:
        self.says: dict[str, object] = {
            "GetSystemDateAndTime": envelope("<GetSystemDateAndTimeResponse/>"),
            "GetServices": services(MEDIA),
            "GetProfiles": profiles(profile("main", 1920, 1080, 25), profile("second", 640, 360, 8)),
            "GetStreamUri": uri("rtsp://127.0.0.1:8554/{profile}"),
            "GetDeviceInformation": envelope(
                "<GetDeviceInformationResponse><Manufacturer>Acme</Manufacturer></GetDeviceInformationResponse>"
            ),
        }
        self.asked: list[str] = []
        """The questions, in order."""
        self.sent: list[str] = []
        """Whole requests, headers and all."""
        self.location = ""
        self.was_heard_out = False
        """Whether anybody read an endless answer as a whole."""
        self.over = threading.Event()
        liar = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                liar.answer(self)

            def do_GET(self) -> None:
                liar.answer(self)

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = False
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05})
        self.port = self._server.server_port

    @property
    def host(self) -> str:
        return f"127.0.0.1:{self.port}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.over.set()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def answer(self, request: BaseHTTPRequestHandler) -> None:
        body = request.rfile.read(int(request.headers.get("Content-Length", 0))).decode()
        question = next((one for one in QUESTIONS if f"<{one}" in body), "?")
        self.asked.append(question)
        self.sent.append(f"{request.requestline}\n{request.headers}\n{body}")
        said = self.says.get(question, 404)
        try:
            if isinstance(said, str):
                getattr(self, said)(request)
            else:
                self._send(request, said, body)
        except OSError:
            return  # whoever asked has heard enough

    def _send(self, request: BaseHTTPRequestHandler, said: object, body: str) -> None:
        status, data = (said, b"") if isinstance(said, int) else (200, said)
        assert isinstance(data, bytes)
        wanted = re.search(r"<ProfileToken>(.*?)</ProfileToken>", body)
        data = data.replace(b"{port}", str(self.port).encode()).replace(
            b"{profile}", (wanted[1] if wanted else "").encode()
        )
        request.send_response(400 if b"Fault>" in data else int(str(status)))
        if self.location:
            request.send_header("Location", self.location)
        if status == 401:
            request.send_header("WWW-Authenticate", 'Basic realm="camera"')
        request.send_header("Content-Length", str(len(data)))
        request.end_headers()
        request.wfile.write(data)

    def endless(self, request: BaseHTTPRequestHandler) -> None:
        """40 MB of text in an element, without a length before it: more than sockets hold."""
        request.send_response(200)
        request.end_headers()
        request.wfile.write(b"<s:Envelope xmlns:s='urn:s'><s:Body><a>")
        for _ in range(40):
            request.wfile.write(b"x" * 1_000_000)
        request.wfile.write(b"</a></s:Body></s:Envelope>")
        self.was_heard_out = True

    def drip(self, request: BaseHTTPRequestHandler) -> None:
        """A byte now and then, for ever."""
        request.send_response(200)
        request.send_header("Content-Length", "100000")
        request.end_headers()
        while not self.over.wait(0.2):
            request.wfile.write(b" ")
            request.wfile.flush()

    def hang(self, _request: BaseHTTPRequestHandler) -> None:
        """Nothing at all."""
        self.over.wait()

    def garbage(self, request: BaseHTTPRequestHandler) -> None:
        request.wfile.write(b"\x00\x01 no HTTP at all\r\n\r\n")
