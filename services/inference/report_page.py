"""The page of the report: static HTML that shows the charts and the crops with their captions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from services.inference.core.mistakes import KINDS, Kind, Mistake
from services.inference.core.scoring import box_px

GENERATOR = "moretta eval --report"
"""How an earlier report is known again."""

_WORDS = {"mask": "mask", "no_mask": "no mask", "incorrect": "worn incorrectly", "unknown": "unknown"}
_HEADINGS: dict[Kind, tuple[str, str]] = {
    "wrong": (
        "Wrong verdicts",
        "A face was judged otherwise than annotated. The verdicts it was surest of come first.",
    ),
    "missed": ("Missed faces", "No face was found where one is annotated. Those that left the least trace come first."),
    "false-alarm": (
        "False alarms",
        "A face was found where none is annotated. Surest boxes come first; some may be faces that nobody annotated.",
    ),
}

_JINJA = Environment(
    loader=PackageLoader("services.inference", "templates"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)


@dataclass(frozen=True)
class Shown:
    """A crop on the page: its path below the report's folder, the error, and the picture that it is cut from."""

    path: str
    mistake: Mistake
    file: str

    @property
    def caption(self) -> str:
        """The error in words."""
        outcome = self.mistake.outcome
        truth, said = _WORDS.get(outcome.truth or ""), _WORDS.get(outcome.said or "")
        if self.mistake.kind == "wrong":
            sure = f"{100 * outcome.confidence:.0f} % sure"
            told = f"; {sure} that it is not masked" if outcome.is_side_right else f", {sure}"
            return f"annotated: {truth}; judged: {said}{told}"
        if self.mistake.kind == "missed":
            trace = f"the best box there scored {outcome.score:.2f}" if outcome.score else "no box there"
            return f"annotated: {truth}; {trace}"
        return f"found: {said}; score {outcome.score:.2f}"

    @property
    def size_px(self) -> float:
        """The face's size in the annotated picture."""
        return box_px(self.mistake.outcome.box)


@dataclass(frozen=True)
class Section:
    """The crops of one kind of error."""

    heading: str
    text: str
    total: int
    shown: Sequence[Shown]


def _section(kind: Kind, total: int, shown: Sequence[Shown]) -> Section:
    return Section(*_HEADINGS[kind], total, [one for one in shown if one.mistake.kind == kind])


def page(figures: dict[str, Any], shown: Sequence[Shown], totals: Mapping[Kind, int]) -> str:
    """The page as HTML, without script, names of files escaped. `totals`: how many errors there are of each kind."""
    sections = [_section(kind, totals.get(kind, 0), shown) for kind in KINDS]
    return _JINJA.get_template("report.html").render(generator=GENERATOR, figures=figures, sections=sections)
