"""The command `moretta` within the test's own process: for what it says and writes, not for how a process ends."""

import functools
from typing import Any

from typer import testing

from moretta.__main__ import app

# All commands are made anew for each call otherwise, which is a third of the work of most.
testing._get_command = functools.cache(testing._get_command)


def invoke(*words: str, **options: Any) -> testing.Result:
    """Run the command; an error that nobody expects is raised."""
    return testing.CliRunner().invoke(app, list(words), **{"catch_exceptions": False, **options})
