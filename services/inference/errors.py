"""Reads the file with a model's errors, beside its manifest, and stores them where aggregate reads them (ADR 41)."""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from pathlib import Path

import msgspec

from proto.model_errors import ModelErrors
from proto.sightings import ModelV1
from proto.subjects import MODELS
from proto.types import Sha256
from services.bus import Bus
from services.kernel.log import get_logger

log = get_logger()

ERRORS_NAME = "errors.json"
_EVERY_S = 60.0
"""How often it is told, so that what the stream still has of any window holds it."""
_TIMEOUT_S = 5.0


class ErrorsFile(msgspec.Struct, frozen=True):
    """The content of `errors.json`; `sources` says of how many photos and people each source's figures are."""

    model_sha256: Sha256
    errors: ModelErrors
    sources: dict[str, dict[str, int]] = {}


def read_errors(folder: Path, model_sha256: str) -> ModelErrors | None:
    """Return the errors of the model in `folder`, whose manifest has this SHA-256; None: nobody estimated them.

    Raises ValueError, with one line, for a file that can't be read, is of another model, or makes no sense.
    """
    path = folder / ERRORS_NAME
    try:
        found = msgspec.json.decode(path.read_bytes(), type=ErrorsFile)
    except FileNotFoundError:
        return None
    except (OSError, msgspec.MsgspecError) as error:
        raise ValueError(f"{path}: {error}; write it with python -m bench.model_errors, or remove it") from None
    if found.model_sha256 != model_sha256:
        raise ValueError(
            f"{path}: model_sha256 is {found.model_sha256}, but the model here is {model_sha256}; remove it"
        )
    if wrong := _nonsense(found.errors):
        raise ValueError(f"{path}: {wrong}")
    return found.errors


def _nonsense(errors: ModelErrors) -> str:
    for name in ("sensitivity", "specificity", "recall_ratio"):
        value, (low, high) = getattr(errors, name), getattr(errors, f"{name}_limits")
        if not low <= value <= high:
            return f"errors.{name}_limits are {[low, high]}; {name}, {value:g}, must lie between them"
    if errors.sensitivity + errors.specificity <= 1:
        return "errors.sensitivity and errors.specificity add up to 1 or less: such verdicts say nothing about masks"
    return ""


class ModelErrorsPublisher:
    """Stores the model's errors in the stream of each site, once a minute; nothing where nobody estimated them.

    Aggregate decides from that stream alone, so that a replay finds the same errors (ADR 7).
    """

    def __init__(
        self, bus: Bus, sites: Collection[str], model: str, model_sha256: str, errors: ModelErrors | None
    ) -> None:
        self._bus, self.sites = bus, sites
        self._model, self._sha256, self._errors = model, model_sha256, errors

    async def publish(self) -> None:
        """Store them once, in 5 s at most; what cannot be stored is logged, and tried again a minute later."""
        if self._errors is not None:
            await asyncio.gather(*(self._publish(site, self._errors) for site in self.sites))

    async def _publish(self, site: str, errors: ModelErrors) -> None:
        message = ModelV1(site=site, model=self._model, model_sha256=self._sha256, errors=errors)
        try:
            async with asyncio.timeout(_TIMEOUT_S):
                await self._bus.store(MODELS, message)
        except Exception as error:  # frames are analysed all the same: windows have the interval of chance alone
            log.warning("model errors not stored", site=site, error=str(error) or type(error).__name__)

    async def run(self) -> None:
        """Store them again and again, for ever."""
        while True:
            await asyncio.sleep(_EVERY_S)
            await self.publish()
