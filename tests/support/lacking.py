"""What a test needs and the machine lacks."""

import os
from typing import NoReturn

import pytest


def lacks(why: str) -> NoReturn:
    """Skip the test by name; fail it if MORETTA_REQUIRE_ALL=1."""
    if os.environ.get("MORETTA_REQUIRE_ALL") == "1":
        pytest.fail(why)
    pytest.skip(why)
