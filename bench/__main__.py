"""Measurements that take options: `python -m bench ratio`, `python -m bench counts`; all others are `make bench`."""

import asyncio
import sys
import tempfile
from pathlib import Path
from typing import Annotated

import typer

from operate import output
from operate.box.machine import BoxError
from services.kernel.log import LogSettings, configure
from services.kernel.settings import SettingsError

app = typer.Typer(help="Measure Moretta.", no_args_is_help=True)
_LARGEST_SEED = (1 << 63) - 1


@app.command()
def ratio(
    cameras: Annotated[int, typer.Option(min=1, max=64)] = 4,
    source: Annotated[Path | None, typer.Option(metavar="FILE", help="a clip to loop; one is made if absent")] = None,
    fps: Annotated[float, typer.Option(min=0.5, max=30, help="analysed pictures per second")] = 5.0,
    seconds: Annotated[float, typer.Option(min=4, max=100, help="measured seconds, over both rounds")] = 40.0,
    as_json: Annotated[bool, typer.Option("--json", help="print JSON")] = False,
) -> None:
    """Measure the cost of the whole system against the same work in one process."""
    from bench.clip import FULL_HD, make_clip
    from bench.ratio import bench as run_bench
    from bench.ratio import shown as shown_ratio
    from operate.box.count import length_of

    with tempfile.TemporaryDirectory(prefix="moretta-") as scratch:
        if source is not None:
            length_of(str(source))
        try:
            clip = source or make_clip(Path(scratch) / "clip.mp4", FULL_HD, seconds=12)
        except ModuleNotFoundError as error:
            why = f"making a clip needs {error.name}; pip install 'moretta[box]', or give a file"
            raise SettingsError("bench ratio", [("--source", why)]) from None
        with output.stages() as progress:
            result = asyncio.run(run_bench(clip, cameras, fps, seconds, progress))
    output.result(result, shown_ratio, as_json=as_json)


@app.command()
def counts(
    scenarios: Annotated[
        list[str] | None, typer.Argument(metavar="[SCENARIO]...", help="a YAML file or a built-in scenario")
    ] = None,
    seeds: Annotated[int, typer.Option(min=1, max=1000, help="runs of each scenario, each with a seed of its own")] = 5,
    seed: Annotated[
        int | None,
        typer.Option(min=0, max=_LARGEST_SEED - 1000, metavar="N", help="the first; default: the scenario's"),
    ] = None,
    window_s: Annotated[
        float, typer.Option("--window", metavar="S", min=1, max=3600, help="length of a window")
    ] = 60.0,
    as_json: Annotated[bool, typer.Option("--json", help="print JSON")] = False,
) -> None:
    """Count simulated people, whose truth is known: how far are people, rate and interval off?"""
    from bench.counts import count_all
    from bench.counts_table import figures, shown, summaries
    from testbed.simulation.simulate import load

    named = [(name, load(name, seed)) for name in scenarios or ("sparse", "medium", "dense")]
    with output.progress("counting", 1.0) as progress:
        found = summaries(count_all(named, seeds, window_s, progress))
    output.result({"scenarios": [figures(one) for one in found]}, lambda _: shown(found), as_json=as_json)


def main() -> None:
    """Run one of them; a user's mistake is one line, exit code 2."""
    configure("bench", LogSettings(level="warning"))
    try:
        app(prog_name="python -m bench")
    except (SettingsError, BoxError) as error:
        typer.echo(str(error), err=True)
        sys.exit(2)


if __name__ == "__main__":
    main()
