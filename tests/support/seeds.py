"""Seeds of long tests that leave much to chance: others in each run, and MORETTA_SEED repeats one.

`make test-long SEED=7` begins with 7. By hand MORETTA_SEEDS says how many there are: `MORETTA_SEED=7 MORETTA_SEEDS=20`.
"""

import os
import random

_OURS = "MORETTA_FIRST_SEED"
"""Set here, so that all of pytest's workers collect the same tests."""


def first() -> int:
    """Return the first seed of this run."""
    drawn = os.environ.get("MORETTA_SEED") or str(random.SystemRandom().randrange(1_000_000))
    return int(os.environ.setdefault(_OURS, drawn))


def seeds(count: int) -> list[int]:
    """Return this run's seeds, `count` of them unless MORETTA_SEEDS says otherwise."""
    return [first() + number for number in range(int(os.environ.get("MORETTA_SEEDS") or count))]


first()
