"""`moretta prove`: the run, its table on a console, and one self-contained HTML page."""

import asyncio
import json
import tempfile
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from rich.box import SIMPLE_HEAD
from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from services.kernel.log import LogSettings, configure
from services.kernel.settings import SettingsError
from testbed.proof.capture import isolate
from testbed.proof.core.presence import presence_text
from testbed.proof.core.verdicts import PROMISE_MS, Findings, LifetimeCounts, SearchedPlace, Verdict
from testbed.proof.proof import ProofOptions
from testbed.proof.proof import prove as run
from testbed.proof.search import PLACES, WITHOUT_CANARY

WORDS: dict[Verdict, str] = {
    "nothing": "nothing found",
    "found": "FOUND",
    "blind": "search is blind",
    "not searched": "not searched",
    "left out": "left out",
    "too long": "TOO LONG",
    "within bounds": "as documented",
}
_STYLES: dict[Verdict, str] = {"nothing": "green", "within bounds": "green", "left out": "yellow"}
_BAD = "bold red"
_UNITS = ((1e9, "GB"), (1e6, "MB"), (1e3, "kB"))
_JINJA = Environment(
    loader=PackageLoader("testbed.proof", "templates"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)


def size_text(size: int) -> str:
    """Return a number of bytes as text with a unit."""
    return next((f"{size / factor:.1f} {unit}" for factor, unit in _UNITS if size >= factor), f"{size} bytes")


def searched_text(place: SearchedPlace) -> str:
    """Return how much of a place was searched."""
    return f"{place.count:,} {place.unit}, {size_text(place.size)}".replace(",", " ", place.count >= 1_000)


def canary_text(place: SearchedPlace) -> str:
    """Return whether the place's canary was found."""
    return {True: "found", False: "not found", None: "–"}[place.canary]


def found_text(place: SearchedPlace) -> str:
    """Return the traces found, beside the documented number."""
    bound = f"; documented: at most {place.allowed}" if place.allowed is not None else ""
    return place.found + bound


def lifetime_text(lifetime: LifetimeCounts) -> str:
    """Return the lifetime of pixels in words."""
    if not lifetime.total:
        return "no picture"
    return f"p50 {_within(lifetime.upper(0.5))}, p99 {_within(lifetime.upper(0.99))}, {lifetime.total:.0f} pictures"


def _within(bound: float | None) -> str:
    return "beyond 100 ms" if bound is None else f"at most {bound:g} ms"


def conclusion(findings: Findings) -> str:
    """Return the proof's outcome as a sentence."""
    if findings.is_proven:
        return "Nothing of any picture was found outside the documented working memory; all that was planted was found."
    bad = [f"{place.name}: {WORDS[place.verdict]}" for place in findings.places if not place.is_good]
    if findings.lifetime.verdict != "nothing":
        bad.append(f"lifetime: {WORDS[findings.lifetime.verdict]}")
    return "Not proven. " + "; ".join([*findings.faults, *bad])


def table(findings: Findings) -> RenderableType:
    """Return all findings as a table for a console."""
    shown = Table(box=SIMPLE_HEAD, title=_title(findings), title_justify="left")
    for name, ratio in (("place", 3), ("searched", 3), ("planted", 1), ("found", 4), ("verdict", 2)):
        shown.add_column(name, ratio=ratio, overflow="fold")
    for place in findings.places:
        verdict = Text(WORDS[place.verdict], _STYLES.get(place.verdict, _BAD))
        row = (f"{place.name}: {place.what}", searched_text(place), canary_text(place), found_text(place))
        shown.add_row(*map(Text, row), verdict)
    lifetime = findings.lifetime.verdict
    kept = Text("kept" if lifetime == "nothing" else WORDS[lifetime], _STYLES.get(lifetime, _BAD))
    lived = Text(f"Pixels lived {lifetime_text(findings.lifetime)}; promised: p99 at most {PROMISE_MS:g} ms: ")
    style = "bold green" if findings.is_proven else _BAD
    return Group(shown, lived + kept, Text(presence_text(), "dim"), Text(conclusion(findings), style))


def _title(findings: Findings) -> str:
    known = f"{findings.pictures} known pictures, {findings.packets} packets of them"
    return f"{known}, {findings.needles} needles of 32 bytes; {findings.seconds:.0f} s"


def page(findings: Findings, now: datetime | None = None) -> str:
    """Return the HTML page."""
    return _JINJA.get_template("report.html").render(
        findings=findings,
        rows=[_row(place) for place in findings.places],
        lifetime=lifetime_text(findings.lifetime),
        troubled=lifetime_text(findings.troubled),
        lifetime_words="kept" if findings.lifetime.verdict == "nothing" else WORDS[findings.lifetime.verdict],
        is_lifetime_good=findings.lifetime.verdict == "nothing",
        presence=presence_text(),
        conclusion=conclusion(findings),
        promise=f"{PROMISE_MS:g}",
        version=version("moretta"),
        at=f"{now or datetime.now(UTC):%Y-%m-%d %H:%M} UTC",
    )


def _row(place: SearchedPlace) -> dict[str, Any]:
    return {
        "name": place.name,
        "what": place.what,
        "searched": searched_text(place),
        "canary": canary_text(place),
        "found": found_text(place),
        "notes": place.notes,
        "verdict": WORDS[place.verdict],
        "good": place.is_good,
    }


COMMAND = "moretta prove"
_WIDTH = 140


def prove(seconds: float, without: Sequence[str], report: Path | None, *, as_json: bool) -> int:
    """Run the proof; return 0 if all was searched and nothing found, else 1. SettingsError for a wrong option."""
    _require(without, report)
    configure("moretta", LogSettings(level="error"))  # the proof kills NATS: a lost connection is expected
    alone = isolate()
    stderr = Console(stderr=True, highlight=False, soft_wrap=True)
    with tempfile.TemporaryDirectory(prefix="moretta-proof-") as scratch:
        options = ProofOptions(seconds=seconds, without=tuple(without), isolated=alone is None)
        findings = asyncio.run(run(Path(scratch), options, stderr.print))
    show(findings, report, as_json=as_json)
    return 0 if findings.is_proven else 1


def show(findings: Findings, report: Path | None, *, as_json: bool) -> None:
    """Print the table or JSON, and write the report."""
    if report is not None:
        report.write_text(page(findings), encoding="utf-8")
    if as_json:
        print(json.dumps(findings.figures()))
        return
    console = Console()
    wide = console if console.is_terminal else Console(width=_WIDTH)
    wide.print(table(findings))


def _require(without: Sequence[str], report: Path | None) -> None:
    names = [*PLACES, *WITHOUT_CANARY]
    for name in without:
        if name not in names:
            raise SettingsError(COMMAND, [("--without", f"{name!r} is no place; there are {', '.join(names)}")])
    if report is None:
        return
    try:
        report.touch()
    except OSError as error:
        why = f"{str(report)!r} cannot be written: {error.strerror}; name a file in a folder that is there"
        raise SettingsError(COMMAND, [("--report", why)]) from None
