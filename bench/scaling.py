"""Adding, removing and killing processes of ingest and inference under many cameras: `python -P -m bench.scaling`.

Real services with their identities on a real nats-server; cameras are small films in a loop. Each minute one process is
added, one ended by SIGTERM and one killed, ingest and inference in turn. It says for how long cameras were off, whether
windows are missing, how evenly replicas share cameras, and what an autoscaler would have read.
"""

import json
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer
import uvloop
from rich.console import Console

from bench.scaling_found import Found, figures, rows
from bench.scaling_plan import Plan
from bench.scaling_run import run
from services.kernel.log import LogSettings, configure


def main(
    cameras: Annotated[int, typer.Option(min=1, max=1000)] = 300,
    ingest: Annotated[int, typer.Option(min=2, max=64, help="processes at the start")] = 6,
    inference: Annotated[int, typer.Option(min=2, max=64, help="processes at the start")] = 8,
    minutes: Annotated[float, typer.Option(min=0.2, max=600)] = 30.0,
    every_s: Annotated[float, typer.Option("--every", metavar="S", min=2, help="from one event to the next")] = 20.0,
    period_s: Annotated[
        float, typer.Option("--period", metavar="S", min=1, max=10, help="from a camera's analysed picture to its next")
    ] = 4.0,
    seed: Annotated[int, typer.Option(min=0, metavar="N", help="draws the processes that are removed and killed")] = 1,
    report: Annotated[Path | None, typer.Option(metavar="DIR", help="write numbers, chart and logs there")] = None,
) -> None:
    """Scale ingest and inference out and in, and kill their processes, while cameras are analysed."""
    configure("bench", LogSettings(level="error"))
    plan = Plan(cameras, ingest, inference, minutes=minutes, every_s=every_s, period_s=period_s, seed=seed)
    write, logs, console = _writer(report), report / "logs" if report else None, Console(stderr=True)
    if logs is not None:
        logs.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="moretta-films-") as films, console.status("starting") as status:
        found = Found(uvloop.run(run(plan, Path(films), logs, status.update if console.is_terminal else console.print)))
    write(found)
    for row in rows(found):
        print(f"{row.name}: {row.measured} ({row.target}, {row.verdict}) {row.note}")


def _writer(folder: Path | None) -> Callable[[Found], None]:
    """Return a function that writes the report. Check now that it can, because the run takes long."""
    if folder is None:
        return lambda _found: None
    try:
        from bench.scaling_chart import chart
    except ModuleNotFoundError as error:
        hint = f"needs {error.name}; install it with: pip install 'moretta[eval]'"
        raise typer.BadParameter(hint, param_hint="--report") from None
    folder.mkdir(parents=True, exist_ok=True)

    def write(found: Found) -> None:
        (folder / "scaling.json").write_text(json.dumps(figures(found), indent=1) + "\n", encoding="utf-8")
        chart(folder / "scaling.png", found)

    return write


if __name__ == "__main__":
    typer.run(main)
