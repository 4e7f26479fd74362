"""`python -m services.ingest -c FILE`."""

import datetime as dt
import importlib
import sys
from pathlib import Path

from services.ingest.settings import IngestFile, WebSettings
from services.kernel.app import App
from services.kernel.process import main
from services.sandbox import Sandbox


def run(arguments: list[str] | None = None) -> int:
    """Run the service in its sandbox; returns its exit code."""
    sandbox = Sandbox("ingest", IngestFile)

    def before(file: Path, settings: IngestFile) -> None:
        if settings.ingest.web is not None:
            _prepare(settings.ingest.web)
        sandbox.enter(file, settings)
        importlib.import_module("services.ingest.service")

    async def wire(app: App, settings: IngestFile) -> None:
        from services.ingest.service import wire  # only now: numpy starts threads; the sandbox binds only later ones

        app.before_reload(sandbox.check)
        await wire(app, settings)

    return main("ingest", IngestFile, wire, arguments, before)


def _prepare(web: WebSettings) -> None:
    """Do the steps that the web server can't do in the sandbox: start a program, and write the last file."""
    certificate = importlib.import_module("services.ingest.web.certificate")  # importing ifaddr runs ldconfig
    if web.certificate_dir is not None:
        certificate.served(web, dt.datetime.now(dt.UTC))


if __name__ == "__main__":
    sys.exit(run())
