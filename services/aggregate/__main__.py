"""`python -m services.aggregate -c FILE`."""

import sys

from services.aggregate.service import wire
from services.aggregate.settings import AggregateFile
from services.kernel.process import main


def run(arguments: list[str] | None = None) -> int:
    """Run the service; returns its exit code."""
    return main("aggregate", AggregateFile, wire, arguments)


if __name__ == "__main__":
    sys.exit(run())
