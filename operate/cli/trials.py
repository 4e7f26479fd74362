"""The commands that try and measure: models, counting, rules, cost, and the demo."""

import asyncio
import tempfile
from pathlib import Path
from typing import Annotated

import typer

from services.kernel.settings import SettingsError

trials = typer.Typer()
_LARGEST_SEED = (1 << 63) - 1
Config = Annotated[Path | None, typer.Option("-c", "--config", metavar="FILE", help="settings (YAML)")]


@trials.command("eval")
def evaluate(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="a folder with annotations.jsonl")],
    predictions: Annotated[Path | None, typer.Option(metavar="OUT.jsonl", help="write what the model saw")] = None,
    only: Annotated[
        Path | None, typer.Option(metavar="FILE", help="only the pictures listed there, one a line")
    ] = None,
    model: Annotated[Path | None, typer.Option(metavar="DIR", help="another model than the one shipped")] = None,
    long_side: Annotated[
        int | None, typer.Option(metavar="PX", help="analyse at this size: 160 to 1920, a multiple of 32")
    ] = None,
    report: Annotated[
        Path | None, typer.Option(metavar="FOLDER", help="write charts and crops of the worst errors there")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="print JSON")] = False,
) -> None:
    """Measure the model on a labelled folder."""
    from operate import show
    from operate.cli.reporting import reporter
    from operate.cli.show_eval import scores
    from services.inference.annotations import InputError
    from services.inference.evaluate import evaluate_folder
    from services.inference.model import ModelError, load_model

    try:
        write_report = reporter(report)
        with show.progress("evaluating", None) as progress:
            measured = evaluate_folder(
                folder,
                model=load_model(model),
                predictions=predictions,
                only=only,
                long_side=long_side,
                progress=progress,
            )
        write_report(measured)
    except (InputError, ModelError) as error:
        raise SettingsError("moretta eval", [("", str(error))]) from None
    show.result(measured.figures, scores, as_json=as_json)


@trials.command()
def bench(
    cameras: Annotated[int, typer.Option(min=1, max=64)] = 4,
    source: Annotated[Path | None, typer.Option(metavar="FILE", help="a clip to loop; one is made if absent")] = None,
    fps: Annotated[float, typer.Option(min=0.5, max=30, help="analysed pictures per second")] = 5.0,
    seconds: Annotated[float, typer.Option(min=4, max=100, help="measured seconds, over both rounds")] = 40.0,
    as_json: Annotated[bool, typer.Option("--json", help="print JSON")] = False,
) -> None:
    """Measure the cost of the whole system against the same work in one process."""
    from bench.clip import FULL_HD, make_clip
    from bench.ratio import bench as run_bench
    from operate import show
    from operate.cli.count import length_of

    with tempfile.TemporaryDirectory(prefix="moretta-") as scratch:
        if source is not None:
            length_of(str(source))
        try:
            clip = source or make_clip(Path(scratch) / "clip.mp4", FULL_HD, seconds=12)
        except ModuleNotFoundError as error:
            why = f"making a clip needs {error.name}; pip install 'moretta[demo]', or give a file"
            raise SettingsError("moretta bench", [("--source", why)]) from None
        with show.stages() as progress:
            result = asyncio.run(run_bench(clip, cameras, fps, seconds, progress))
    show.result(result, show.costs, as_json=as_json)


@trials.command("eval-counts")
def evaluate_counts(
    scenarios: Annotated[
        list[str] | None, typer.Argument(metavar="[SCENARIO]...", help="a YAML file or sparse, medium, dense, day")
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
    from operate import show
    from operate.simulation.command import load

    named = [(name, load(name, seed)) for name in scenarios or ("sparse", "medium", "dense")]
    with show.progress("counting", 1.0) as progress:
        found = summaries(count_all(named, seeds, window_s, progress))
    show.result({"scenarios": [figures(one) for one in found]}, lambda _: shown(found), as_json=as_json)


@trials.command()
def demo(
    camera: Annotated[str | None, typer.Option(metavar="URL", help="a real file, URL or device instead")] = None,
    duration: Annotated[float | None, typer.Option(metavar="S", min=0, help="stop after so many seconds")] = None,
    mails: Annotated[Path, typer.Option(metavar="DIR", help="where the mails are kept")] = Path("demo-mails"),
    screenshot: Annotated[Path | None, typer.Option(metavar="FILE.svg", help="save what was shown last")] = None,
) -> None:
    """Watch it work: three simulated cameras, numbers beside the truth, an alert, a mail."""
    from rich.console import Console

    from operate.simulation.demo.command import demo as run_demo

    with tempfile.TemporaryDirectory(prefix="moretta-") as scratch:
        code = asyncio.run(run_demo(Path(scratch), camera, duration, Console(), mails=mails, picture=screenshot))
    raise typer.Exit(code)


@trials.command()
def prove(
    report: Annotated[Path | None, typer.Option(metavar="FILE.html", help="write the proof as a page")] = None,
    seconds: Annotated[
        float, typer.Option(min=1, max=3600, metavar="S", help="how long pixels are measured, undisturbed")
    ] = 15.0,
    without: Annotated[
        list[str] | None, typer.Option(metavar="PLACE", help="do without a place that can't be searched here")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="print JSON")] = False,
) -> None:
    """Prove that no picture is kept: run it all, kill it, and search every place for a known film. About a minute.

    Run it as root, with strace. Exit code 1 if anything was found, or any place could not be searched.
    """
    try:
        from operate.proof.command import prove as run_proof
    except ModuleNotFoundError as error:
        raise SettingsError("moretta prove", [("", f"needs {error.name}; pip install 'moretta[demo]'")]) from None

    raise typer.Exit(run_proof(seconds, without or [], report, as_json=as_json))


rules_app = typer.Typer(help="Try rate rules.", no_args_is_help=True)
trials.add_typer(rules_app, name="rules")


@rules_app.command("test")
def rules_test(files: Annotated[list[Path], typer.Argument(metavar="FILE...")]) -> None:
    """Run rules against written timelines; exit code 1 if anything differs from what a file expects."""
    from operate.cli.rules.file import read_cases
    from operate.cli.rules.run import run
    from operate.cli.rules.show import show, summary

    tried = [(file, [run(case) for case in read_cases(file)]) for file in files]
    for file, outcomes in tried:
        show(file, outcomes)
    every = [outcome for _, outcomes in tried for outcome in outcomes]
    typer.echo(summary(every))
    raise typer.Exit(int(any(outcome.differences for outcome in every)))


@trials.command()
def simulate(
    scenario: Annotated[str, typer.Argument(metavar="SCENARIO", help="a YAML file, or sparse, medium, dense, day")],
    out: Annotated[Path | None, typer.Option(metavar="FILE.mp4", help="write a film")] = None,
    truth: Annotated[
        Path | None, typer.Option(metavar="FILE", help="write what is true (- is standard output)")
    ] = None,
    people: Annotated[
        Path | None, typer.Option(metavar="DIR", help="heads cut out of a folder with annotations.jsonl")
    ] = None,
    seed: Annotated[
        int | None, typer.Option(min=0, max=_LARGEST_SEED, metavar="N", help="another one than the scenario's")
    ] = None,
    bus: Annotated[bool, typer.Option("--bus", help="publish sightings straight to NATS instead of a film")] = False,
    config: Config = None,
    site: Annotated[str | None, typer.Option(metavar="ID", help="with --bus: the site, whose cameras rest")] = None,
    speed: Annotated[
        float, typer.Option(min=1, max=100_000, metavar="X", help="with --bus: seconds simulated in one second")
    ] = 1_440.0,
) -> None:
    """Simulate passers-by with a known truth: as a film, or as sightings on the bus."""
    from operate.simulation import command

    command.require_one(out, truth, people, config if bus else None, bus=bus)
    found = command.load(scenario, seed)
    if bus and config is not None:
        asyncio.run(command.bus(scenario, found, config, site, truth, speed))
    else:
        command.film(scenario, found, out, truth, people)
