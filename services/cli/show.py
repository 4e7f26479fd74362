"""What commands show: progress on standard error, the result on standard output as a table or as JSON."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Protocol

from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table


class Advance(Protocol):
    """Tells how much is done, and of how much if that is only known now."""

    def __call__(self, done: float, total: float | None = None) -> None: ...


def _bar() -> Progress:
    columns = (SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
    console = Console(stderr=True)
    return Progress(*columns, console=console, transient=True, disable=not console.is_terminal)


@contextmanager
def progress(what: str, total: float | None) -> Iterator[Advance]:
    """Show one bar while the block runs."""
    with _bar() as bar:
        task = bar.add_task(what, total=total)

        def advance(done: float, total: float | None = None) -> None:
            bar.update(task, completed=done, **({} if total is None else {"total": total}))  # type: ignore[arg-type]

        yield advance


@contextmanager
def stages() -> Iterator[Callable[[str, float], None]]:
    """Show a line for the stage that runs."""
    with _bar() as bar:
        task = bar.add_task("starting", total=None)
        yield lambda name, _done: bar.update(task, description=name)


def result(values: dict[str, Any], table: Callable[[dict[str, Any]], Table], *, as_json: bool) -> None:
    """Print the result."""
    if as_json:
        print(json.dumps(values))
    else:
        Console().print(table(values))


def _percent(share: float | None) -> str:
    return "–" if share is None else f"{share:.1%}"


def counts(values: dict[str, Any]) -> Table:
    """Return the table of `moretta count`."""
    table = Table(title=f"{values['passages']} people in {values['seconds']:.0f} s")
    for name in ("masked", "unmasked", "incorrect", "unknown", "rate", "95 % interval"):
        table.add_column(name, justify="right")
    interval = values["interval"]
    span = f"{interval[0]:.0%} to {interval[1]:.0%}" if interval else "–"
    numbers = [str(values[name]) for name in ("masked", "unmasked", "incorrect", "unknown")]
    table.add_row(*numbers, _percent(values["rate"]), span)
    return table


def scores(values: dict[str, Any]) -> Table:
    """Return the table of `moretta eval`."""
    table = Table(
        title=f"{values['model']} on {values['images']} pictures, faces of at least {values['min_px']:.0f} px"
    )
    table.add_column("figure")
    table.add_column("value", justify="right")
    for name in ("faces", "threshold"):
        table.add_row(name, f"{values[name]:g}")
    for name in ("precision", "recall", "f1", "mask_acc_on_found", "mask_balanced_acc", "unknown_share"):
        if name in values:
            table.add_row(name.replace("_", " "), _percent(values[name]))
    for name, (recall, faces) in values["recall_by"].items():
        table.add_row(f"recall, {name}", f"{recall:.1%} of {faces}")
    for name, value in values.get("mask_rate", {}).items():
        table.add_row(f"mask rate, {name.replace('_', ' ')}", f"{value:.2f}")
    return table


def costs(values: dict[str, Any]) -> Table:
    """Return the table of `moretta bench`."""
    table = Table(title=f"{values['cameras']} cameras, {values['analysed_fps']} analysed pictures a second")
    table.add_column("processor ms per analysed picture")
    table.add_column("", justify="right")
    for name, ms in values["cpu_ms_per_frame"].items():
        table.add_row(name, f"{ms:.2f}")
    table.add_row("the same work in one process", f"{values['in_process_cpu_ms_per_frame']:.2f}")
    table.add_row("ratio", f"{values['ratio']:.3f}")
    life = values["lifetime_ms"]
    table.add_row("pixel lifetime p50 / p99 / max", f"{life['p50']:.0f} / {life['p99']:.0f} / {life['max']:.0f} ms")
    table.add_row("shed", _percent(values["shed_share"]))
    return table
