"""What commands show: progress on standard error, the result on standard output as a table or as JSON."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Protocol

from rich.console import Console, RenderableType
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


def result(values: dict[str, Any], table: Callable[[dict[str, Any]], RenderableType], *, as_json: bool) -> None:
    """Print the result."""
    if as_json:
        print(json.dumps(values))
    else:
        Console().print(table(values))


def percent(share: float | None) -> str:
    """Return a share as percent, a dash for none."""
    return "–" if share is None else f"{share:.1%}"


def counts(values: dict[str, Any]) -> Table:
    """Return the table of `moretta count`."""
    table = Table(title=f"{values['passages']} people in {values['seconds']:.0f} s")
    for name in ("masked", "unmasked", "incorrect", "unknown", "rate", "95 % interval"):
        table.add_column(name, justify="right")
    interval = values["interval"]
    span = f"{interval[0]:.0%} to {interval[1]:.0%}" if interval else "–"
    numbers = [str(values[name]) for name in ("masked", "unmasked", "incorrect", "unknown")]
    table.add_row(*numbers, percent(values["rate"]), span)
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
    p50, p99 = ("over 100" if life[name] is None else f"{life[name]:.0f}" for name in ("p50", "p99"))
    table.add_row("pixel lifetime p50 / p99", f"{p50} / {p99} ms")
    table.add_row("shed", percent(values["shed_share"]))
    return table
