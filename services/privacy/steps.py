"""How coarsely figures about pictures are published where people depend on them (docs/privacy.md). Pure.

A picture with faces takes longer to analyse than one without. So a time, or a share of pictures that took too long,
reveals whether somebody is in front of a camera. It is published in steps; a machine that keeps the promise stays in
the first.
"""

import math

STEPS = (0.01, 0.03, 0.06, 0.144, 0.5, 1.0)
"""A share of pictures is published as the least of these that is not below it. The first is what the promise allows;
the next ones are the burn rates that alerts judge (k8s/moretta/files/rules.yaml), so alerts judge as without steps."""
LEAST = STEPS[0]


def at_most(part: int, whole: int) -> float:
    """Return the step that bounds this share; the least step where there is no whole."""
    share = part / whole if whole else 0.0
    return next((step for step in STEPS if share <= step), STEPS[-1])


def published_loss(part: int, whole: int) -> int:
    """Return how many of a whole count as lost: none up to the least step, else the step's share, rounded down."""
    step = at_most(part, whole)
    return 0 if step == LEAST else share_of(step, whole)


def share_of(step: float, whole: int) -> int:
    """Return a share of a whole, rounded down; what is whole but for the error of a fraction stays whole."""
    return math.floor(step * whole + 1e-9)


def two_digits(value: float) -> float:
    """Return a rate, rounded to two significant digits."""
    return float(f"{value:.2g}")


def two_digits_up(count: int) -> int:
    """Return a count of 0 or more, rounded up to two significant digits."""
    unit: int = 10 ** max(0, len(str(count)) - 2)
    return -(-count // unit) * unit
