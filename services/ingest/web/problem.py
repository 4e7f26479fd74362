"""Errors as `application/problem+json` (RFC 9457)."""

from collections.abc import Mapping
from http import HTTPStatus

import msgspec
from aiohttp import web


def problem(status: int, detail: str, headers: Mapping[str, str] | None = None) -> web.Response:
    """Return an error that says in one sentence what is wrong or would be right. It quotes nothing of the request."""
    body = {"type": "about:blank", "title": HTTPStatus(status).phrase, "status": status, "detail": detail}
    return web.Response(
        body=msgspec.json.encode(body), status=status, headers=headers, content_type="application/problem+json"
    )


def not_allowed(*methods: str) -> web.Response:
    """Return 405, which names what is allowed."""
    allowed = ", ".join(methods)
    return problem(405, f"allowed here: {allowed}", {"Allow": allowed})


def elsewhere() -> web.Response:
    """Return the answer for a camera that another replica serves."""
    why = "another replica serves this camera, or is letting it go; try again in a moment"
    return problem(503, why, {"Retry-After": "1"})
