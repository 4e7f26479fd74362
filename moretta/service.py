"""Runs one service in this process."""

import importlib
from collections.abc import Callable


def service(name: str, arguments: list[str]) -> int:
    """Run one service with the arguments after its name; returns its exit code."""
    run: Callable[[list[str]], int] = importlib.import_module(f"services.{name}.__main__").run
    return run(arguments)
