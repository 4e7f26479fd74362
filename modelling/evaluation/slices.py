"""The figures of parts of a folder: of each source that its annotations name, and of each pose of a face."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import Any

from modelling.evaluation.breakdown import row
from modelling.evaluation.labelled import Photo
from modelling.evaluation.outcomes import Outcome

Named = Callable[[Photo, Outcome], str]


def _source(photo: Photo, _outcome: Outcome) -> str:
    return photo.source


def _pose(photo: Photo, outcome: Outcome) -> str:
    """Return how an annotated face is held; nothing for a false alarm, which has no pose."""
    return photo.pose[outcome.face] if photo.pose and outcome.face is not None else ""


def slices(photos: Sequence[Photo], faces: Sequence[Outcome]) -> dict[str, list[dict[str, Any]]]:
    """Return `by_source` and `by_pose`: a `row` with its `name` for each that is annotated, in the order of names.

    Without such annotations both are empty. In `by_pose` there are no false alarms.
    """
    return {"by_source": _by(_source, photos, faces), "by_pose": _by(_pose, photos, faces)}


def _by(named: Named, photos: Sequence[Photo], faces: Sequence[Outcome]) -> list[dict[str, Any]]:
    parts: defaultdict[str, list[Outcome]] = defaultdict(list)
    for outcome in faces:
        if name := named(photos[outcome.picture], outcome):
            parts[name].append(outcome)
    return [{"name": name, **row(parts[name])} for name in sorted(parts)]
