"""`GET /api/SITE/CAMERA`: a camera's state and figures for whoever has its token. No verdict, no count of people."""

from collections.abc import Callable
from typing import Any

import msgspec
from aiohttp import web

from proto.public import CameraV1
from services.ingest.camera import Camera
from services.ingest.web.access import Access
from services.ingest.web.problem import not_allowed

Figures = Callable[[str, str], CameraV1 | None]
"""Finds what was last published of a camera, by site and id."""


class Status:
    """The endpoint."""

    def __init__(self, access: Access, figures: Figures) -> None:
        self._access, self._figures = access, figures

    def routes(self) -> list[web.AbstractRouteDef]:
        """Return what to serve."""
        return [web.route("*", "/api/{site}/{camera}", self._status)]

    async def _status(self, request: web.Request) -> web.Response:
        if request.method == "OPTIONS":
            return web.Response(headers={"Allow": "GET, OPTIONS"})
        if request.method != "GET":
            return not_allowed("GET", "OPTIONS")
        camera = self._access.camera(request)
        if isinstance(camera, web.Response):
            return camera
        body = _figures(camera, self._figures(camera.site, camera.settings.id))
        return web.Response(body=msgspec.json.encode(body), content_type="application/json")


def _figures(camera: Camera, seen: CameraV1 | None) -> dict[str, Any]:
    """The state of now, with the figures that were published last."""
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
        "lifetime": {"p50_ms": lifetime.p50_ms, "p99_ms": lifetime.p99_ms} if lifetime else None,
    }
