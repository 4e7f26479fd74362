"""`python -m services.aggregate -c FILE`."""

import sys
from argparse import ArgumentParser
from pathlib import Path

from services.aggregate.service import wire
from services.aggregate.settings import AggregateFile
from services.app import run


def main(arguments: list[str] | None = None) -> int:
    """Run the service; returns its exit code."""
    parser = ArgumentParser(prog="services.aggregate", description="sightings -> passages -> windows -> alerts")
    parser.add_argument("-c", "--config", type=Path, required=True, metavar="FILE", help="the settings file (YAML)")
    return run("aggregate", parser.parse_args(arguments).config, AggregateFile, wire)


if __name__ == "__main__":
    sys.exit(main())
