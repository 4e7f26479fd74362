"""The camera page (a few package files with content types, served from memory), its code, and the state of a camera.

`GET /api/SITE/CAMERA` returns a camera's state and figures to a client with its token: no verdict, no count of people.
"""

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import segno
from aiohttp import web

from proto.public import CameraV1
from services.ingest.camera.camera import Camera
from services.ingest.web.access import Access, Cameras, elsewhere, not_allowed, problem

FOLDER = Path(__file__).parents[1] / "page"
_TYPES = {
    ".html": "text/html",
    ".js": "text/javascript",
    ".css": "text/css",
    ".json": "application/json",
}


class Pages:
    """The files as they were at start; `/` is index.html."""

    def __init__(self, folder: Path = FOLDER) -> None:
        self._files = {
            file.name: (file.read_bytes(), _TYPES[file.suffix])
            for file in sorted(folder.iterdir())
            if file.suffix in _TYPES and file.is_file()
        }

    def routes(self) -> list[web.AbstractRouteDef]:
        """Return the routes to serve."""
        return [web.route("*", "/{name:[^/]*}", self._file)]

    async def _file(self, request: web.Request) -> web.Response:
        if request.method not in {"GET", "HEAD"}:
            return not_allowed("GET", "HEAD")
        found = self._files.get(request.match_info["name"] or "index.html")
        if found is None:
            return problem(404, "there is no such page")
        body, content_type = found
        return web.Response(body=body, content_type=content_type, charset="utf-8")


class PhoneCode:
    """`/phone.svg`: the page's address as a QR code, so that a phone opens what a computer shows. No token is in it."""

    def __init__(self, url: Callable[[], str]) -> None:
        self._url = url

    def routes(self) -> list[web.AbstractRouteDef]:
        """Return the routes to serve."""
        return [web.get("/phone.svg", self._draw)]

    async def _draw(self, _request: web.Request) -> web.Response:
        drawn = io.BytesIO()
        segno.make(self._url(), micro=False).save(drawn, kind="svg", xmldecl=False, omitsize=True, light="#fff")
        return web.Response(body=drawn.getvalue(), content_type="image/svg+xml", charset="utf-8")


_LIFETIME = ("pictures", "late")
"""The figures of the pixels' lifetime that the page shows, of the last whole window."""


class CameraStatePage:
    """The endpoint for the state of a camera."""

    def __init__(self, access: Access, cameras: Cameras) -> None:
        self._access, self._cameras = access, cameras

    def routes(self) -> list[web.AbstractRouteDef]:
        """Return the routes to serve."""
        return [web.route("*", "/api/{site}/{camera}", self._status)]

    async def _status(self, request: web.Request) -> web.Response:
        if request.method == "OPTIONS":
            return web.Response(headers={"Allow": "GET, OPTIONS"})
        if request.method != "GET":
            return not_allowed("GET", "OPTIONS")
        if (refusal := self._access.refusal(request)) is not None:
            return refusal
        place = request.match_info["site"], request.match_info["camera"]
        camera = self._cameras.camera(*place)
        if camera is None:
            return elsewhere()
        body = _figures(camera, self._cameras.figures(*place))
        return web.Response(body=msgspec.json.encode(body), content_type="application/json")


def _figures(camera: Camera, seen: CameraV1 | None) -> dict[str, Any]:
    """Return the current state with the last published figures, which are those of a whole window."""
    status, stats = camera.status, camera.stats()
    state = status.state if status else "connecting"
    reason = seen.reason if seen and seen.state == state else status.reason if status else None
    lifetime = seen.lifetime if seen else None
    return {
        "site": camera.site,
        "camera": camera.settings.id,
        "state": state,
        "reason": reason,
        "width": stats.width,
        "height": stats.height,
        "fps": seen.fps if seen else None,
        "analysed_fps": seen.analysed_fps if seen else None,
        "lifetime": {name: getattr(lifetime, name) for name in _LIFETIME} if lifetime else None,
    }
