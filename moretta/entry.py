"""The console script `moretta`. A single service starts without the rest, which its image does not contain."""

import importlib.util
import sys

from moretta.interrupt import leaving_at_once
from moretta.service import service

SERVICES = ("ingest", "inference", "aggregate", "notify")


def main() -> None:
    """Run one service, or the command line."""
    name = sys.argv[1] if len(sys.argv) > 1 else ""
    if name in SERVICES and not _is_for_people(sys.argv[2:]):
        sys.exit(service(name, sys.argv[2:]))
    with leaving_at_once():
        from moretta.__main__ import main as command_line

    command_line()


def _is_for_people(words: list[str]) -> bool:
    """Return whether this is a command about a service, such as `notify status`, and not the service itself."""
    if words[:1] == ["--help"]:
        return importlib.util.find_spec("typer") is not None
    return any(not word.startswith("-") for word in words[:1])
