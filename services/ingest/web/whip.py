"""WHIP, the WebRTC-HTTP ingestion protocol (RFC 9725), without trickle ICE and ICE restarts.

`POST /whip/SITE/CAMERA` takes an offer and creates a session; `DELETE` on the session ends it. A camera has one peer.
"""

import asyncio
import contextlib
import secrets
from dataclasses import dataclass

from aiohttp import web
from prometheus_client import Gauge

from services.ingest.camera.camera import Camera
from services.ingest.camera.metrics import WHIP_DROPPED
from services.ingest.core.sdp import OfferError, check_offer
from services.ingest.sources.peer import EncodedQueue, PeerSlot
from services.ingest.web.access import Access, Cameras, elsewhere, not_allowed, problem
from services.ingest.web.rtc import PeerConnection
from services.kernel.app import App
from services.kernel.listener import BODY_S
from services.kernel.log import get_logger

log = get_logger()

PEERS = Gauge("moretta_whip_peers", "Peers that publish by WHIP now")
MAX_BYTES = 16 * 1024
"""The largest offer; browsers send less than 10 kB."""
_SDP = "application/sdp"
_READY_LIMIT_S = 1.0
_STEP_S = 0.05


@dataclass(eq=False, slots=True)
class WhipSession:
    """One peer of a camera."""

    site: str
    camera: str
    id: str
    encoded: EncodedQueue
    peer: PeerConnection


class Whip:
    """The endpoints and the sessions of all cameras."""

    def __init__(self, app: App, access: Access, cameras: Cameras, ice_addresses: list[str]) -> None:
        self._app, self._access, self._cameras, self._ice_addresses = app, access, cameras, ice_addresses
        self._sessions: dict[str, WhipSession] = {}

    def routes(self) -> list[web.AbstractRouteDef]:
        """Return the routes to serve."""
        return [
            web.route("*", "/whip/{site}/{camera}", self._endpoint),
            web.route("*", "/whip/{site}/{camera}/{session}", self._session),
        ]

    async def stop(self) -> None:
        """Disconnect every peer."""
        sessions = list(self._sessions.values())
        for session in sessions:
            session.encoded.close("end-of-stream", "the service stops")
        await asyncio.gather(*(session.peer.close() for session in sessions))

    async def _endpoint(self, request: web.Request) -> web.Response:
        if request.method == "OPTIONS":
            return web.Response(headers={"Allow": "POST, OPTIONS", "Accept-Post": _SDP})
        if request.method != "POST":
            return not_allowed("POST", "OPTIONS")
        if (refusal := self._access.refusal(request) or self._access.haste(request)) is not None:
            return refusal
        try:
            offer = await _offer(request)
            camera = await self._cameras.claim(request.match_info["site"], request.match_info["camera"])
            return elsewhere() if camera is None else await self._publish(camera, offer, request)
        except OfferError as error:
            return problem(error.status, error.detail, {"Accept-Post": _SDP})

    async def _session(self, request: web.Request) -> web.Response:
        if request.method == "OPTIONS":
            return web.Response(headers={"Allow": "DELETE, OPTIONS", "Accept-Post": _SDP})
        if request.method != "DELETE":
            return not_allowed("DELETE", "OPTIONS")
        if (refusal := self._access.refusal(request)) is not None:
            return refusal
        place = request.match_info["site"], request.match_info["camera"]
        session = self._sessions.get(request.match_info["session"])
        if session is None or (session.site, session.camera) != place:
            return problem(404, "there is no such session, or it has ended")
        session.encoded.close("end-of-stream", "the peer said goodbye")
        await session.peer.close()
        return web.Response()

    async def _publish(self, camera: Camera, offer: str, request: web.Request) -> web.Response:
        codec = check_offer(offer)
        loop = asyncio.get_running_loop()
        over = asyncio.Event()
        dropped = WHIP_DROPPED.labels(camera.site, camera.settings.id)
        encoded = EncodedQueue(codec, on_close=lambda: _set_threadsafe(loop, over), on_drop=dropped.inc)
        assert camera.peer_slot is not None
        if not await _takes(camera.peer_slot, encoded):
            return _refused(camera)
        try:
            peer, answer = await self._answered(camera, encoded, offer, request)
        except BaseException:
            encoded.close("other", "the peer's offer could not be answered")
            raise
        session = WhipSession(camera.site, camera.settings.id, secrets.token_urlsafe(16), encoded, peer)
        self._sessions[session.id] = session
        self._app.spawn(f"peer of {session.site}/{session.camera}", self._attend(session, over), may_end=True)
        location = f"/whip/{session.site}/{session.camera}/{session.id}"
        return web.Response(
            body=answer.encode(),
            status=201,
            content_type=_SDP,
            headers={"Location": location, "ETag": f'"{secrets.token_hex(8)}"'},
        )

    async def _answered(
        self, camera: Camera, encoded: EncodedQueue, offer: str, request: web.Request
    ) -> tuple[PeerConnection, str]:
        peer = PeerConnection(encoded, self._ice_addresses, link_local=camera.settings.allow_link_local)
        try:
            answer = await peer.answer(offer)
            _require_there(request, encoded)
        except BaseException:
            await peer.close()
            raise
        return peer, answer

    async def _attend(self, session: WhipSession, over: asyncio.Event) -> None:
        """Watch a peer until it is gone."""
        names = {"site": session.site, "camera": session.camera}
        log.info("a peer publishes", codec=session.encoded.codec, **names)
        PEERS.inc()
        watching = asyncio.create_task(session.peer.watch(), name="watch a peer")
        try:
            await over.wait()
        finally:
            watching.cancel()
            await asyncio.wait([watching])
            self._sessions.pop(session.id, None)
            PEERS.dec()
            why = session.encoded.closed
            outcome = {"reason": why and why.reason, "why": why and why.message, "refused": session.peer.refused}
            log.info("a peer is gone", **outcome, **names)
            await session.peer.close()


def _set_threadsafe(loop: asyncio.AbstractEventLoop, over: asyncio.Event) -> None:
    with contextlib.suppress(RuntimeError):  # the loop is closed: nobody is left to hear it
        loop.call_soon_threadsafe(over.set)


async def _takes(peer_slot: PeerSlot, encoded: EncodedQueue) -> bool:
    """Take the peer's slot, and return whether it worked; a camera whose last peer has just gone needs a moment."""
    end = asyncio.get_running_loop().time() + _READY_LIMIT_S
    while not peer_slot.take(encoded):
        if peer_slot.is_taken or asyncio.get_running_loop().time() > end:
            return False
        await asyncio.sleep(_STEP_S)
    return True


def _require_there(request: web.Request, encoded: EncodedQueue) -> None:
    """Raise OfferError if the peer has left: it knows no session that it could end."""
    if request.transport is None or request.transport.is_closing():
        encoded.close("end-of-stream", "the peer left before it was answered")
        raise OfferError(400, "nobody reads this")


async def _offer(request: web.Request) -> str:
    if request.content_type != _SDP:
        raise OfferError(415, f"send the offer as {_SDP}")
    try:
        async with asyncio.timeout(BODY_S):
            return (await request.read()).decode()
    except UnicodeDecodeError:
        raise OfferError(400, "the offer is not UTF-8 text") from None
    except TimeoutError:
        raise OfferError(408, "the offer took too long to come") from None


def _refused(camera: Camera) -> web.Response:
    assert camera.peer_slot is not None
    if camera.peer_slot.is_taken:
        return problem(409, "another peer publishes to this camera; one that vanished is let go within 5 s")
    status = camera.status
    if status is not None and status.state == "paused":
        return problem(409, "this camera is paused; nobody may publish to it until it is resumed")
    return problem(503, "this camera is not ready for a peer; try again in a moment", {"Retry-After": "5"})
