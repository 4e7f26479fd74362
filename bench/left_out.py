"""Which photos a model did not learn from: the list that training leaves beside a model without a group of sources."""

from collections import defaultdict
from pathlib import Path

from modelling.evaluation.labelled import InputError

LEFT_OUT = "left_out.txt"


def read_left_out(folder: Path) -> dict[str, frozenset[str]]:
    """Return the photos' names by source; InputError for a list that can't be used."""
    path = folder / LEFT_OUT
    try:
        names = path.read_text("utf-8").split()
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}; training writes it beside a model") from error
    found: dict[str, set[str]] = defaultdict(set)
    for name in names:
        source, _, photo = name.partition("/")
        found[source].add(photo)
    return {source: frozenset(photos) for source, photos in sorted(found.items())}
