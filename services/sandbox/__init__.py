"""The sandbox that ingest and inference enter at start, so that they can leave no picture on a disk (ADR 22)."""

from services.sandbox.measures import Measure, MeasureState, State
from services.sandbox.sandbox import Sandbox

__all__ = ["Measure", "MeasureState", "Sandbox", "State"]
