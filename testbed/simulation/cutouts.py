"""Heads cut out of labelled photos, for films that show many people; the photos stay where they are."""

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from math import sqrt
from pathlib import Path

from PIL import Image, ImageChops, ImageDraw, ImageFilter, UnidentifiedImageError

from modelling.evaluation.labelled import Corners, Label, Photo, read_annotations
from proto.types import Verdict
from services.kernel.settings import SettingsError
from testbed.simulation.people import WIDTH
from testbed.simulation.scenario import Scenario
from testbed.simulation.walkers import FACE, Walker

SMALLEST_PX = 32.0
"""Smaller faces are too coarse for the near people of a film."""
BESIDE, ABOVE, BELOW = 0.38, 0.5, 0.3
"""How far a cut-out reaches beyond the face's box, as a share of its width or height."""
_VERDICTS: dict[Label, Verdict] = {"mask": "masked", "no_mask": "unmasked", "incorrect": "incorrect"}
_SOFT = 0.04
_CANVAS = 724
"""The head's canvas is as high as the figure's upper part."""


@dataclass(frozen=True)
class Cutout:
    """One labelled face that can be cut out: its photo's file, and its box in pixels."""

    file: Path
    box: Corners

    def head(self) -> Image.Image:
        """Return the head on the figure's canvas, with its face in the place of the figure's."""
        x1, y1, x2, y2 = self.box
        beside, above, below = BESIDE * (x2 - x1), ABOVE * (y2 - y1), BELOW * (y2 - y1)
        with Image.open(self.file) as photo:
            cut = photo.convert("RGBA").crop(
                (round(x1 - beside), round(y1 - above), round(x2 + beside), round(y2 + below))
            )
        width, height = (FACE[2] - FACE[0]) * (1 + 2 * BESIDE), (FACE[3] - FACE[1]) * (1 + ABOVE + BELOW)
        cut = cut.resize((round(width), round(height)), Image.Resampling.BICUBIC)
        cut.putalpha(ImageChops.multiply(cut.getchannel("A"), _oval(cut.size)))
        canvas = Image.new("RGBA", (WIDTH, _CANVAS))
        corner = (FACE[0] - BESIDE * (FACE[2] - FACE[0]), FACE[1] - ABOVE * (FACE[3] - FACE[1]))
        canvas.paste(cut, (round(corner[0]), round(corner[1])))
        return canvas


class Cutouts:
    """The faces of a folder, by what they wear."""

    def __init__(self, by_verdict: dict[Verdict, list[Cutout]]) -> None:
        self._by_verdict = by_verdict
        self._head = lru_cache(maxsize=64)(Cutout.head)

    @classmethod
    def of(cls, folder: Path, scenario: Scenario) -> "Cutouts":
        """Return a folder's faces; InputError or SettingsError if it has none, or not those the scenario needs."""
        found: dict[Verdict, list[Cutout]] = defaultdict(list)
        for photo in read_annotations(folder):
            for verdict, cutout in _cutouts(folder, photo):
                found[verdict].append(cutout)
        for verdict in _needed(scenario):
            if not found[verdict]:
                why = f"{folder} has no face of {SMALLEST_PX:g} px or more that is labelled as {verdict}, which the"
                raise SettingsError("moretta simulate", [("--people", f"{why} scenario needs; take another folder")])
        return cls(dict(found))

    def head(self, walker: Walker) -> Image.Image:
        """Return the head of a person, the same every time; SettingsError if its photo can't be read."""
        choice = self._by_verdict[walker.verdict]
        cutout = choice[walker.seed % len(choice)]
        try:
            return self._head(cutout)
        except (OSError, UnidentifiedImageError) as error:
            why = f"{cutout.file} can't be read: {error}; give a folder with its pictures"
            raise SettingsError("moretta simulate", [("--people", why)]) from None


def _cutouts(folder: Path, photo: Photo) -> Iterator[tuple[Verdict, Cutout]]:
    """Yield the faces that are large enough, and wholly in the photo."""
    for box, label in zip(photo.boxes, photo.label, strict=True):
        x1, y1, x2, y2 = box
        inside = x1 >= 0 and y1 >= 0 and x2 <= photo.width and y2 <= photo.height
        if label in _VERDICTS and inside and sqrt((x2 - x1) * (y2 - y1)) >= SMALLEST_PX:
            yield _VERDICTS[label], Cutout(folder / photo.file, box)


def _needed(scenario: Scenario) -> list[Verdict]:
    """Return the verdicts that are true of people in the scenario."""
    phases = [phase for phase in scenario.phases if phase.arrivals_per_minute]
    shares: dict[Verdict, list[float]] = {
        "masked": [phase.masked for phase in phases],
        "unmasked": [1 - phase.masked - phase.incorrect for phase in phases],
        "incorrect": [phase.incorrect for phase in phases],
    }
    return [verdict for verdict, some in shares.items() if any(share > 1e-9 for share in some)]


@lru_cache(maxsize=4)
def _oval(size: tuple[int, int]) -> Image.Image:
    """Return an oval as an alpha mask with a soft edge."""
    soft = max(1.0, _SOFT * size[0])
    mask = Image.new("L", size)
    ImageDraw.Draw(mask).ellipse((2 * soft, 2 * soft, size[0] - 2 * soft, size[1] - 2 * soft), fill=255)
    return mask.filter(ImageFilter.GaussianBlur(soft))
