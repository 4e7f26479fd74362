"""What a camera costs ingest and inference, decoding and analysing told apart: what sizing rests on."""

from statistics import median

from bench.clip import FULL_HD, HD, Format
from bench.rows import Bench
from bench.verdicts import Row, at_most

_CAMERAS = 6
_MANY, _SELDOM = 5.0, 1.0
"""Analysed pictures a second."""


async def by_part(bench: Bench) -> list[Row]:
    """What a camera costs ingest and inference: what sizing rests on (docs/operations.md)."""
    return [row for form, limit in ((FULL_HD, 100.0), (HD, 60.0)) for row in await _parts_of(bench, form, limit)]


async def _parts_of(bench: Bench, form: Format, limit: float) -> list[Row]:
    """Few analysed pictures and many of as many decoded ones: two costs can be told apart."""
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
