"""`python -m services.inference -c FILE`."""

import importlib
import sys
from pathlib import Path

from services.inference.settings import InferenceFile
from services.kernel.app import App
from services.kernel.process import main
from services.sandbox import Sandbox


def run(arguments: list[str] | None = None) -> int:
    """Run the service in its sandbox; returns its exit code."""
    sandbox = Sandbox("inference", InferenceFile)

    def before(file: Path, settings: InferenceFile) -> None:
        sandbox.enter(file, settings)
        importlib.import_module("services.inference.service")

    async def wire(app: App, settings: InferenceFile) -> None:
        from services.inference.service import (
            wire,
        )  # only now: numpy starts threads, and the sandbox binds only later ones

        app.before_reload(sandbox.check)
        await wire(app, settings)

    return main("inference", InferenceFile, wire, arguments, before)


if __name__ == "__main__":
    sys.exit(run())
