"""Reads the file with a model's errors, beside its manifest, and stores them where aggregate reads them (ADR 41)."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import NamedTuple

import msgspec

from proto.model_errors import ModelErrors
from proto.sightings import ModelV1
from proto.subjects import MODELS
from proto.types import Sha256
from services.bus import Bus
from services.kernel.log import get_logger
from services.sites.settings import Analysis

log = get_logger()

ERRORS_NAME = "errors.json"
_EVERY_S = 60.0
"""How often it is told, so that what the stream still has of any window holds it."""
_LIMIT_S = 5.0


SitePoints = Mapping[str, Collection[Analysis]]
"""The operating points of a site's cameras, by site."""


class ErrorsFile(msgspec.Struct, frozen=True):
    """The content of `errors.json`: the errors of both operating points; `fast` None: it has none, or nobody knows.

    `sources` says of how many photos and people each source's figures are.
    """

    model_sha256: Sha256
    errors: ModelErrors
    fast: ModelErrors | None = None
    sources: dict[str, dict[str, int]] = {}


class PointErrors(NamedTuple):
    """The errors of a model's operating points; None: nobody estimated them."""

    accurate: ModelErrors | None = None
    fast: ModelErrors | None = None

    def of(self, points: Collection[Analysis]) -> ModelErrors | None:
        """Return the errors of a site whose cameras are analysed at these points; None if those of one are not known.

        Of both: whatever either may do, since nobody knows who is seen by which camera.
        """
        some = [self.fast if point == "fast" else self.accurate for point in sorted(set(points)) or ["accurate"]]
        known = [one for one in some if one is not None]
        if len(known) < len(some):
            return None
        return known[0] if len(known) == 1 else _either(*known)


def _either(one: ModelErrors, other: ModelErrors) -> ModelErrors:
    """Return errors as expected of both, with limits that hold the limits of each."""
    figures = {}
    for name in ("sensitivity", "specificity", "recall_ratio"):
        limits = [getattr(each, f"{name}_limits") for each in (one, other)]
        figures[name] = (getattr(one, name) + getattr(other, name)) / 2
        figures[f"{name}_limits"] = (min(low for low, _ in limits), max(high for _, high in limits))
    return ModelErrors(
        overdispersion=max(one.overdispersion, other.overdispersion), sources=min(one.sources, other.sources), **figures
    )


def read_errors(folder: Path, model_sha256: str) -> PointErrors:
    """Return the errors of the model in `folder`, whose manifest has this SHA-256.

    Raises ValueError, with one line, for a file that can't be read, is of another model, or makes no sense.
    """
    path = folder / ERRORS_NAME
    try:
        found = msgspec.json.decode(path.read_bytes(), type=ErrorsFile)
    except FileNotFoundError:
        return PointErrors()
    except (OSError, msgspec.MsgspecError) as error:
        raise ValueError(f"{path}: {error}; write it with python -m bench.model_errors, or remove it") from None
    if found.model_sha256 != model_sha256:
        raise ValueError(
            f"{path}: model_sha256 is {found.model_sha256}, but the model here is {model_sha256}; remove it"
        )
    for name, errors in (("errors", found.errors), ("fast", found.fast)):
        if errors is not None and (wrong := _nonsense(name, errors)):
            raise ValueError(f"{path}: {wrong}")
    return PointErrors(found.errors, found.fast)


def _nonsense(path: str, errors: ModelErrors) -> str:
    for name in ("sensitivity", "specificity", "recall_ratio"):
        value, (low, high) = getattr(errors, name), getattr(errors, f"{name}_limits")
        if not low <= value <= high:
            return f"{path}.{name}_limits are {[low, high]}; {name}, {value:g}, must lie between them"
    if errors.sensitivity + errors.specificity <= 1:
        return f"{path}.sensitivity and {path}.specificity add up to 1 or less: such verdicts say nothing about masks"
    return ""


class ErrorsTeller:
    """Stores the model's errors in the stream of each site, once a minute. `sites`: at which points each is analysed.

    Aggregate decides from that stream alone, so that a replay finds the same errors (ADR 7).
    """

    def __init__(self, bus: Bus, sites: SitePoints, model: str, model_sha256: str, errors: PointErrors) -> None:
        self._bus, self.sites = bus, sites
        self._model, self._sha256, self._errors = model, model_sha256, errors

    async def tell(self) -> None:
        """Store them once, in 5 s at most; what cannot be stored is logged, and told again a minute later."""
        known = {site: self._errors.of(points) for site, points in self.sites.items()}
        await asyncio.gather(*(self._tell(site, errors) for site, errors in known.items() if errors is not None))

    async def _tell(self, site: str, errors: ModelErrors) -> None:
        said = ModelV1(site=site, model=self._model, model_sha256=self._sha256, errors=errors)
        try:
            async with asyncio.timeout(_LIMIT_S):
                await self._bus.store(MODELS, said)
        except Exception as error:  # frames are analysed all the same: windows have the interval of chance alone
            log.warning("model errors not stored", site=site, error=str(error) or type(error).__name__)

    async def run(self) -> None:
        """Store them again and again, for ever."""
        while True:
            await asyncio.sleep(_EVERY_S)
            await self.tell()
