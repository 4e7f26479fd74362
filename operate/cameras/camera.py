"""Asks one camera for its streams: its clock, its services, its profiles, and the address of each."""

import secrets
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from msgspec import Struct, structs

from operate.cameras.core import replies, requests
from operate.cameras.core.addresses import AddressError, CameraAddress, Login, stream_url
from operate.cameras.core.requests import MEDIA, MEDIA2, MediaService
from operate.cameras.core.video_streams import VideoStream
from operate.cameras.core.xml import Element, XmlError, parsed
from operate.cameras.exchange import Exchange, ExchangeError

OnStep = Callable[[str, float], None]
"""Called with what is asked for next."""
_NO_LOGIN = "needs a login: give --user and --password-file; on many cameras ONVIF has users of its own"
_WRONG_LOGIN = "refuses the login of {user!r}: is it a user of ONVIF there, and does the file hold its password?"
_UNREACHABLE = "{why}; is the camera on, and ONVIF switched on at this port (often 80, 8000, 8080 or 8899)?"
_NOT_ONVIF = "no ONVIF answer: {why}; is this the camera's ONVIF port (often 80, 8000, 8080 or 8899)?"
_NO_MEDIA = "speaks ONVIF, but has no media service, so no streams: is it a camera?"
_NO_STREAMS = "has a media service, but no profile with a video encoder: make one on the camera's own page"


class CameraError(Exception):
    """A camera that cannot be asked; the text says why, and what to do."""


class CameraAnswers(Struct, frozen=True, kw_only=True):
    """What a camera said."""

    address: CameraAddress
    model: str
    streams: list[VideoStream]


class OnvifCamera:
    """A camera that is asked over ONVIF."""

    def __init__(self, address: CameraAddress, login: Login | None, exchange: Exchange, *, link_local: bool) -> None:
        self._address, self._login, self._exchange, self._link_local = address, login, exchange, link_local
        self._ahead = timedelta()
        """How far the camera's clock is ahead of ours: it refuses a login of another time."""
        self._urls: dict[str, str] = {}

    def look(self, on_step: OnStep) -> CameraAnswers:
        """Return what the camera says of its streams; CameraError if it says nothing usable."""
        on_step(f"asking {self._address.label}", 0)
        self._set_clock()
        service, path, profiles = self._profiles(self._media())
        streams = [one if one.refused else self._addressed(one, service, path, on_step) for one in profiles]
        return CameraAnswers(address=self._address, model=self._model(), streams=streams)

    def url_of(self, token: str) -> str:
        """Return the URL of a stream that `look` found, with the login. It is a secret."""
        return self._urls[token]

    def _set_clock(self) -> None:
        try:
            shown = replies.clock(self._asked(self._address.path, requests.DATE_AND_TIME, signed=False))
        except _AnsweredError:  # some want a login for the time, too
            return
        if shown is not None:
            self._ahead = shown - datetime.now(UTC)

    def _media(self) -> dict[MediaService, str]:
        for question in (requests.SERVICES, requests.CAPABILITIES):  # the second is older, and known to all
            try:
                found = replies.media_paths(self._asked(self._address.path, question))
            except _AnsweredError as error:
                if error.trouble == "login":
                    raise CameraError(self._words(error)) from None
                continue
            if found:
                return found
        raise CameraError(_NO_MEDIA)

    def _profiles(self, media: dict[MediaService, str]) -> tuple[MediaService, str, list[VideoStream]]:
        """Return the profiles by the newer media service, which knows H.265, or by the older one."""
        last = _NO_STREAMS
        services: tuple[MediaService, ...] = (MEDIA2, MEDIA)
        for service in services:
            if service in media:
                try:
                    found = replies.streams(self._asked(media[service], requests.profiles(service)))
                except _AnsweredError as error:
                    last = self._words(error)
                    continue
                if found:
                    return service, media[service], found
        raise CameraError(last)

    def _addressed(self, stream: VideoStream, service: MediaService, path: str, on_step: OnStep) -> VideoStream:
        on_step(f"asking {self._address.label} for the address of {stream.name}", 0)
        try:
            uri = replies.stream_uri(self._asked(path, requests.stream_address(service, stream.token)))
            known = self._exchange.peers
            self._urls[stream.token] = stream_url(uri, self._address, known, self._login, link_local=self._link_local)
        except (AddressError, _AnsweredError) as error:
            return structs.replace(stream, refused=str(error))
        return stream

    def _model(self) -> str:
        try:
            return replies.model(self._asked(self._address.path, requests.INFORMATION))
        except _AnsweredError:
            return ""

    def _asked(self, path: str, body: str, *, signed: bool = True) -> Element:
        """Return the body of an answer; _AnsweredError if it is a fault, CameraError if there is none."""
        header = ""
        if signed and self._login is not None:
            header = requests.security(self._login, secrets.token_bytes(16), datetime.now(UTC) + self._ahead)
        try:
            found = replies.body(parsed(self._exchange.post(path, requests.envelope(body, header))))
        except ExchangeError as error:
            if error.why == "login":
                raise _AnsweredError("login", str(error)) from None
            why = _UNREACHABLE if error.why == "unreachable" else _NOT_ONVIF
            raise CameraError(why.format(why=error)) from None
        except XmlError as error:
            raise CameraError(_NOT_ONVIF.format(why=error)) from None
        if found is None:
            raise CameraError(_NOT_ONVIF.format(why="its XML is no SOAP"))
        if (trouble := replies.trouble(found)) is not None:
            raise _AnsweredError(*trouble)
        return found

    def _words(self, error: "_AnsweredError") -> str:
        if error.trouble == "login":
            return _WRONG_LOGIN.format(user=self._login.user) if self._login else _NO_LOGIN
        return f"answered with an error: {error}"


class _AnsweredError(Exception):
    """The camera answered, and not with what was asked for."""

    def __init__(self, trouble: replies.Trouble, words: str) -> None:
        self.trouble = trouble
        super().__init__(words or trouble)
