"""Whether something went through these states in this order; on a busy machine others may come between."""

from collections.abc import Iterable


def in_order(told: Iterable[str], *wanted: str) -> bool:
    """Return whether all `wanted` states were told, in this order, whatever came before, between and after them."""
    rest = iter(told)
    return all(state in rest for state in wanted)
