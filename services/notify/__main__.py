"""`python -m services.notify --config FILE`."""

import argparse
import sys
from pathlib import Path

from services.app import run
from services.notify.service import wire
from services.notify.settings import NotifyFile


def main(arguments: list[str] | None = None) -> int:
    """Run until stopped; returns the exit code: 0 stopped, 1 a fault, 2 a mistake in the settings."""
    parser = argparse.ArgumentParser(prog="moretta-notify", description="Tells people about alerts by e-mail.")
    parser.add_argument("--config", type=Path, required=True, help="the settings file (YAML)")
    return run("notify", parser.parse_args(arguments).config, NotifyFile, wire)


if __name__ == "__main__":
    sys.exit(main())
