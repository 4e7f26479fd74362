"""How many examples a Hypothesis property gets, and from which seed: the only place that says so.

The ordinary run tries a share of them. The long run (`make test-long`, MORETTA_LONG=1) tries all, with a seed of its
own each time: MORETTA_SEED repeats one. CI=true takes the same examples each time, so that a red run can be repeated.
Nothing is kept between runs: a failure prints what repeats it.
"""

import os
import random

import pytest
from hypothesis import HealthCheck, settings

LONG = os.environ.get("MORETTA_LONG", "") not in {"", "0"}
SEED = os.environ.get("MORETTA_SEED", "")
ORDINARY_SHARE = float(os.environ.get("MORETTA_EXAMPLES") or 0.25)
"""MORETTA_EXAMPLES is another one, for runs in which lines count and not what is found."""
LEAST = 3
_ALL = 100
"""What a property gets that says nothing."""


def count(long_run: int, ordinary: int | None = None) -> int:
    """Return how many examples this run tries of a property for which the long run tries `long_run`."""
    if LONG:
        return long_run
    return ordinary or max(LEAST, round(long_run * ORDINARY_SHARE))


def examples(long_run: int, ordinary: int | None = None) -> settings:
    """Decorate a property: the long run tries so many examples, the ordinary run its share, or `ordinary`."""
    return settings(max_examples=count(long_run, ordinary))


def load() -> None:
    """Make these the settings of all properties; to be called before the first is defined."""
    repeatable = os.environ.get("CI", "").lower() == "true" and not LONG
    # The machines are noisy: a slow example is no finding.
    settings.register_profile(
        "moretta", max_examples=count(_ALL), derandomize=repeatable, database=None, print_blob=True, deadline=None,
        suppress_health_check=[HealthCheck.too_slow],
    )  # fmt: skip
    settings.load_profile("moretta")


def pytest_configure(config: pytest.Config) -> None:
    """Give Hypothesis its seed, before its own plugin looks for one; a worker gets it from its controller."""
    if config.option.hypothesis_seed is None and (LONG or SEED):
        config.option.hypothesis_seed = SEED or str(random.SystemRandom().getrandbits(32))


def pytest_report_header(config: pytest.Config) -> list[str]:
    """Say how the long run is repeated."""
    seed = config.option.hypothesis_seed
    return [] if seed is None else [f"Hypothesis: MORETTA_SEED={seed}{' MORETTA_LONG=1' if LONG else ''}"]
