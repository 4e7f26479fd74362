"""Output of commands: progress on standard error, the result on standard output as a table or as JSON.

A reader such as `head` may close the output before the command ends.
"""

import io
import json
import os
import select
import shlex
import shutil
import stat
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol, TextIO

from rich.console import Console, RenderableType
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table


class Advance(Protocol):
    """Reports how much is done, and the total if it only becomes known now."""

    def __call__(self, done: float, total: float | None = None) -> None: ...


def _bar() -> Progress:
    columns = (SpinnerColumn(), TextColumn("{task.description}", markup=False), BarColumn(), TimeElapsedColumn())
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


def result(values: Any, table: Callable[[Any], RenderableType], *, as_json: bool, width: int | None = None) -> None:
    """Print the result; the table `width` letters wide, or as wide as the terminal."""
    if as_json:
        print(json.dumps(values))
    else:
        Console(width=width).print(table(values))


def program() -> str:
    """Return how this command is called again: by its name where a shell finds that, else by the path that was used."""
    called = Path(sys.argv[0])
    return "moretta" if called.name != "moretta" or shutil.which("moretta") else shlex.quote(str(called))


def percent(share: float | None) -> str:
    """Return a share as percent; a dash for None."""
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


class _Output(io.FileIO):
    """A file that drops its output once its reader has gone."""

    def write(self, data: Any) -> int:
        try:
            return super().write(data)
        except BrokenPipeError:
            return memoryview(data).nbytes


def outlive_readers() -> None:
    """Let a command finish its work and end with its own exit code, even if nobody reads its output any more.

    Otherwise it would stop at its next print, or end with code 120 and Python's complaint that it could not write.
    """
    sys.stdout, sys.stderr = _outliving(sys.stdout), _outliving(sys.stderr)


def has_reader() -> bool:
    """Return whether somebody may still read standard output: False once a pipe's reader has gone, as `head` does.

    A socket, such as systemd's journal, always counts as read: it may come back.
    """
    output = sys.stdout.fileno()
    if not stat.S_ISFIFO(os.fstat(output).st_mode):
        return True
    pipe = select.poll()
    pipe.register(output, 0)
    return not pipe.poll(0)


def _outliving(stream: TextIO) -> TextIO:
    """Return the stream, made to drop output that nobody reads; unchanged if it is closed or not a file."""
    if not isinstance(stream, io.TextIOWrapper):
        return stream
    stream.flush()
    file = _Output(stream.fileno(), "wb", closefd=False)
    return io.TextIOWrapper(
        file if stream.write_through else io.BufferedWriter(file),
        encoding=stream.encoding, errors=stream.errors,
        line_buffering=stream.line_buffering, write_through=stream.write_through,
    )  # fmt: skip
