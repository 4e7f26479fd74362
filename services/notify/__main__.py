"""`python -m services.notify -c FILE`."""

import sys

from services.kernel.process import main
from services.notify.service import wire
from services.notify.settings import NotifyFile


def run(arguments: list[str] | None = None) -> int:
    """Run the service and return its exit code."""
    return main("notify", NotifyFile, wire, arguments)


if __name__ == "__main__":
    sys.exit(run())
