"""The capacity table: `python -m bench.capacity`, or `make bench`. One run prints the whole table."""

import asyncio
import json
import platform
import sys
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import psutil
import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

from bench import counting_rows, parts
from bench.kept import Report, read_report, sources
from bench.rows import QUICK, SYSTEM_ROWS, Bench, Plan
from bench.stream_rows import STREAM_ROWS
from bench.verdicts import Row
from operate.box.machine import BoxError
from services.kernel.log import LogSettings, configure

_LOOK_S = 3.0
_IDLE_SHARE = 0.9
_OTHERS = 0.1
Save = Callable[[Bench, list[Row]], None]
ROWS = {
    **STREAM_ROWS,
    **SYSTEM_ROWS,
    "counts": counting_rows.counts,
    "intervals": counting_rows.intervals,
    "replay": counting_rows.replayed,
    "parts": parts.by_part,
    "scale": counting_rows.scaled,
}


def machine(plan: Plan) -> dict[str, Any]:
    """Return what is measured: the machine, how idle it is now (a share of all cores), the sources and the plan."""
    idle = psutil.cpu_times_percent(_LOOK_S).idle / 100
    cores = len(psutil.Process().cpu_affinity())
    return {
        "processor": _processor(),
        "cores": cores,
        "python": platform.python_version(),
        "sources": sources(),
        "plan": str(plan),
        "idle": round(idle, 3),
    }


def _processor() -> str:
    lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return next(iter(names), platform.machine())


def warnings(found: dict[str, Any], others: list[float]) -> list[str]:
    """Return the reasons to doubt the figures, in words."""
    told = []
    if found["cores"] != 2:
        told.append(f"the targets are for two cores; this machine has {found['cores']}")
    if found["idle"] < _IDLE_SHARE:
        told.append(f"before the run the machine was only {found['idle']:.0%} idle: its times mean little")
    if others and max(others) > _OTHERS:
        told.append(
            f"other work had up to {max(others):.2f} cores during a run: numbers of cameras and lifetimes mean little"
        )
    return told


def shown(rows: list[Row]) -> Table:
    """Return the table."""
    table = Table("row", "target", "measured", "", "note", title="Capacity")
    for row in rows:
        table.add_row(row.name, row.target, row.measured, row.verdict, row.note)
    return table


async def measure(
    bench: Bench, only: list[str], told: Console, save: Save, kept: dict[str, list[Row]] | None = None
) -> list[Row]:
    """Return the rows, saved after each, and those of `kept`, which are not measured again.

    A failed row says why and is in `bench.failed`; the others go on.
    """
    rows = dict(kept or {})
    for name in only or list(ROWS):
        if name in rows:
            told.print(f"{name}: measured before", highlight=False)
            continue
        try:
            found = await ROWS[name](bench)
        except Exception as error:  # one row may not cost an hour's other rows
            bench.failed.append(name)
            found = Row(name, "", reason(error), None)
        rows[name] = [replace(row, key=name) for row in (found if isinstance(found, list) else [found])]
        told.print(f"{rows[name][-1].name}: {rows[name][-1].measured}, {rows[name][-1].verdict}", highlight=False)
        save(bench, _in_order(rows))
    return _in_order(rows)


def _in_order(rows: dict[str, list[Row]]) -> list[Row]:
    """Return the rows in the table's order."""
    return [row for name in ROWS for row in rows.get(name, [])]


def reason(error: Exception) -> str:
    """Return why a row failed, with the type of an unexpected error."""
    return str(error) if isinstance(error, BoxError) else f"{type(error).__name__}: {error}"


def main(
    quick: Annotated[bool, typer.Option("--quick", help="one short round of each row, to see that it works")] = False,
    rounds: Annotated[int | None, typer.Option(min=1, help="how often each row is measured (default: 3)")] = None,
    soak: Annotated[float | None, typer.Option(metavar="MINUTES", min=0.5, help="how long cameras reconnect")] = None,
    only: Annotated[list[str] | None, typer.Option(metavar="ROW", help=f"one of {', '.join(ROWS)}; repeatable")] = None,
    report: Annotated[
        Path | None,
        typer.Option(metavar="FOLDER", help="write table, numbers and chart there; go on with what is there already"),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="print JSON")] = False,
) -> None:
    """Measure what this machine can carry, row by row, against the targets for two cores.

    Exit code 1 if a row failed: the table says why, and has the others.
    """
    configure("bench", LogSettings(level="error"))
    wrong = [name for name in only or [] if name not in ROWS]
    if wrong:
        raise typer.BadParameter(f"{wrong[0]!r} is no row; rows are {', '.join(ROWS)}", param_hint="--only")
    plan = QUICK if quick else Plan()
    plan = plan if soak is None else replace(plan, soak_minutes=soak)
    plan = plan if rounds is None else replace(plan, rounds=rounds)
    write, console, found = _writer(report), Console(stderr=True), machine(plan)
    try:
        before = None if report is None else read_report(report, found)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--report") from None
    for text in warnings(found, []):
        console.print(f"warning: {text}", highlight=False)

    def save(bench: Bench, rows: list[Row]) -> None:
        write(figures_of(found, bench, rows, quick=quick), bench)

    rows, bench = _measured(plan, only or [], console, save, before)
    figures = figures_of(found, bench, rows, quick=quick)
    if as_json:
        print(json.dumps(figures))
    else:
        Console(width=None if sys.stdout.isatty() else 160).print(shown(rows))
        for text in figures["warnings"]:
            console.print(f"warning: {text}", highlight=False)
    if bench.failed:
        console.print(f"failed: {', '.join(bench.failed)}", highlight=False)
        raise typer.Exit(1)


def figures_of(found: dict[str, Any], bench: Bench, rows: list[Row], *, quick: bool) -> dict[str, Any]:
    """Return the rows so far, the machine, and the warnings, as JSON data."""
    told = warnings(found, bench.others)
    told += [text for text in (bench.earlier.warnings if bench.earlier else []) if text not in told]
    if quick and not any(text.startswith("a quick run") for text in told):
        told.append("a quick run: one short round of each row; no figure of it is a result")
    return {"machine": found, "warnings": told, "rows": [row_figures(row) for row in rows]}


def row_figures(row: Row) -> dict[str, Any]:
    """Return a row as JSON data."""
    names = ("key", "name", "target", "measured", "verdict", "runs", "note")
    return {name: getattr(row, name) for name in names}


def _writer(folder: Path | None) -> Any:
    """Return a function that writes the report. Check now that it can, because measuring takes an hour."""
    if folder is None:
        return lambda _figures, _bench: None
    try:
        from bench.capacity_report import write
    except ModuleNotFoundError as error:
        hint = f"needs {error.name}; install it with: pip install 'moretta[eval]'"
        raise typer.BadParameter(hint, param_hint="--report") from None
    folder.mkdir(parents=True, exist_ok=True)
    return lambda figures, bench: write(folder, figures, bench)


def _measured(
    plan: Plan, only: list[str], console: Console, save: Save, before: Report | None
) -> tuple[list[Row], Bench]:
    columns = (SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
    with (
        tempfile.TemporaryDirectory(prefix="moretta-bench-") as scratch,
        Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar,
    ):
        task = bar.add_task("starting", total=1.0)
        bench = Bench(Path(scratch), plan, lambda what, done: bar.update(task, description=what, completed=done))
        bench.earlier = before
        kept = before.by_key() if before else {}
        return asyncio.run(measure(bench, only, console, save, kept)), bench


if __name__ == "__main__":
    try:
        typer.run(main)
    except ModuleNotFoundError as error:
        sys.exit(f"bench.capacity: needs {error.name}; install it with: pip install 'moretta[box]'")
