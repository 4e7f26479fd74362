"""The camera page: a handful of files from the package, each with its content type, served from memory."""

from pathlib import Path

from aiohttp import web

from services.ingest.web.problem import not_allowed, problem

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
        """Return what to serve."""
        return [web.route("*", "/{name:[^/]*}", self._file)]

    async def _file(self, request: web.Request) -> web.Response:
        if request.method not in {"GET", "HEAD"}:
            return not_allowed("GET", "HEAD")
        found = self._files.get(request.match_info["name"] or "index.html")
        if found is None:
            return problem(404, "there is no such page")
        body, content_type = found
        return web.Response(body=body, content_type=content_type, charset="utf-8")
