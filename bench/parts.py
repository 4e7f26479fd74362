"""The cost of a camera in ingest and inference, split into decoding and analysing: the basis of sizing."""

from statistics import median

from bench.clip import FULL_HD, HD, SECOND_HD, SECOND_SMALL, Format
from bench.rows import Bench
from bench.verdicts import Row, at_most

_CAMERAS = 6
_MANY, _SELDOM = 5.0, 1.0
"""Analysed pictures a second."""
_LIMITS = ((FULL_HD, 100.0), (HD, 60.0), (SECOND_HD, 40.0), (SECOND_SMALL, 25.0))
"""The most that ingest may take for a second of a camera, ms."""


async def by_part(bench: Bench) -> list[Row]:
    """Return the rows on the cost of a camera in ingest and inference, the basis of sizing (docs/operations.md)."""
    return [row for form, limit in _LIMITS for row in await _parts_of(bench, form, limit)]


async def _parts_of(bench: Bench, form: Format, limit: float) -> list[Row]:
    """Return the rows of a format. Runs with few and many analysed pictures, but equal decoding, separate the costs."""
    each, inference, decoding = [], [], []
    for what in bench.rounds(f"ingest and inference at {form.name}"):
        many = await bench.run(f"{what}: {_MANY:g} a second", form, _CAMERAS, fps=_MANY)
        few = await bench.run(f"{what}: {_SELDOM:g} a second", form, _CAMERAS, fps=_SELDOM)
        high, low = (run.cpu_ms["ingest"] * run.analysed / run.seconds / _CAMERAS for run in (many, few))
        each.append((high - low) / (_MANY - _SELDOM))
        decoding.append(high - _MANY * each[-1])
        inference.append(many.cpu_ms["inference"])
    name = f"a second of a camera at {form.name}, processor time of "
    note = f"{median(decoding):.1f} ms without any analysed picture, {median(each):.2f} ms for each"
    return [
        at_most(f"{name}ingest", limit, [d + _MANY * e for d, e in zip(decoding, each, strict=True)], " ms", note),
        at_most(f"{name}inference", 40.0, [_MANY * ms for ms in inference], " ms", f"{_CAMERAS} cameras"),
    ]
