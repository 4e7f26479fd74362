"""The command `moretta`."""

import asyncio
import sys
import tempfile
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Literal

import typer

from services.log import LogSettings, configure
from services.settings import SettingsError

app = typer.Typer(
    help="Measures how many people wear a face mask in front of cameras, and keeps no picture.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)
USAGE = 2
_LARGEST_SEED = (1 << 63) - 1


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(version("moretta"))
        raise typer.Exit


@app.callback()
def options(
    _shown: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="show the version")
    ] = False,
) -> None:
    """Measures how many people wear a face mask in front of cameras, and keeps no picture."""


Config = Annotated[Path | None, typer.Option("-c", "--config", metavar="FILE", help="settings (YAML)")]
RequiredConfig = Annotated[Path, typer.Option("-c", "--config", metavar="FILE", help="settings (YAML)")]


@app.command()
def up(
    config: Config = None,
    camera: Annotated[list[str] | None, typer.Option(metavar="NAME=URL", help="a camera; may be repeated")] = None,
    duration: Annotated[float | None, typer.Option(metavar="S", min=0, help="stop after so many seconds")] = None,
    data: Annotated[Path | None, typer.Option(metavar="DIR", help="keep windows and alerts here over restarts")] = None,
) -> None:
    """Run NATS and the four services on this machine."""
    from services.cli.settings_file import require, require_sources, with_cameras
    from services.cli.up import up as run_up
    from services.ingest.settings import IngestFile
    from services.settings import load

    if config is None and not camera:
        raise SettingsError("moretta up", [("", "needs -c FILE or --camera NAME=URL")])
    with tempfile.TemporaryDirectory(prefix="moretta-") as scratch:
        if config is not None:
            require(config)
        file = with_cameras(config, camera or [], Path(scratch))
        require(file, config or "--camera")
        require_sources(camera or [])
        folder = data or Path(scratch)
        folder.mkdir(parents=True, exist_ok=True)
        raise typer.Exit(asyncio.run(run_up(folder, file.resolve(), load(file, IngestFile).sites, duration)))


def _service(name: str, config: Path) -> None:
    from services.cli.entry import service

    raise typer.Exit(service(name, ["-c", str(config)]))


@app.command()
def ingest(config: RequiredConfig) -> None:
    """Run the service that turns cameras into sealed frames."""
    _service("ingest", config)


@app.command()
def inference(config: RequiredConfig) -> None:
    """Run the service that turns frames into sightings and drops the pixels."""
    _service("inference", config)


@app.command()
def aggregate(config: RequiredConfig) -> None:
    """Run the service that turns sightings into windows and alerts."""
    _service("aggregate", config)


@app.command()
def notify(config: RequiredConfig) -> None:
    """Run the service that tells people about alerts."""
    _service("notify", config)


@app.command()
def count(
    source: Annotated[str, typer.Argument(metavar="SOURCE", help="a recorded file")],
    fps: Annotated[float, typer.Option(min=0.1, max=30, help="analysed pictures per second of the film")] = 5.0,
    as_json: Annotated[bool, typer.Option("--json", help="print JSON")] = False,
) -> None:
    """Count the people in a recorded file, with the real services on a private bus."""
    from services.cli import show
    from services.cli.count import count as run_count
    from services.cli.count import length_of

    path = Path(source)
    source = str(path.resolve()) if path.exists() else source
    length = length_of(source)
    with tempfile.TemporaryDirectory(prefix="moretta-") as scratch, show.progress("counting", length) as progress:
        result = asyncio.run(run_count(Path(scratch), source, fps, progress))
    show.result(result, show.counts, as_json=as_json)


@app.command("eval")
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
    from services.cli import show
    from services.cli.reporting import reporter
    from services.cli.show_eval import scores
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


@app.command()
def bench(
    cameras: Annotated[int, typer.Option(min=1, max=64)] = 4,
    source: Annotated[Path | None, typer.Option(metavar="FILE", help="a clip to loop; one is made if absent")] = None,
    fps: Annotated[float, typer.Option(min=0.1, max=30, help="analysed pictures per second")] = 5.0,
    seconds: Annotated[float, typer.Option(min=4, max=100, help="measured seconds, over both rounds")] = 40.0,
    as_json: Annotated[bool, typer.Option("--json", help="print JSON")] = False,
) -> None:
    """Measure the cost of the whole system against the same work in one process."""
    from bench.clip import FULL_HD, make_clip
    from bench.ratio import bench as run_bench
    from services.cli import show
    from services.cli.count import length_of

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


@app.command("eval-counts")
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
    from services.cli import show
    from services.cli.simulate.command import load

    named = [(name, load(name, seed)) for name in scenarios or ("sparse", "medium", "dense")]
    with show.progress("counting", 1.0) as progress:
        found = summaries(count_all(named, seeds, window_s, progress))
    show.result({"scenarios": [figures(one) for one in found]}, lambda _: shown(found), as_json=as_json)


@app.command()
def demo(
    camera: Annotated[str | None, typer.Option(metavar="URL", help="a real file, URL or device instead")] = None,
    duration: Annotated[float | None, typer.Option(metavar="S", min=0, help="stop after so many seconds")] = None,
    mails: Annotated[Path, typer.Option(metavar="DIR", help="where the mails are kept")] = Path("demo-mails"),
    screenshot: Annotated[Path | None, typer.Option(metavar="FILE.svg", help="save what was shown last")] = None,
) -> None:
    """Watch it work: three simulated cameras, numbers beside the truth, an alert, a mail."""
    from rich.console import Console

    from services.cli.demo.command import demo as run_demo

    with tempfile.TemporaryDirectory(prefix="moretta-") as scratch:
        code = asyncio.run(run_demo(Path(scratch), camera, duration, Console(), mails=mails, picture=screenshot))
    raise typer.Exit(code)


rules_app = typer.Typer(help="Try rate rules.", no_args_is_help=True)
app.add_typer(rules_app, name="rules")


@rules_app.command("test")
def rules_test(files: Annotated[list[Path], typer.Argument(metavar="FILE...")]) -> None:
    """Run rules against written timelines; exit code 1 if anything differs from what a file expects."""
    from services.cli.rules.file import read_cases
    from services.cli.rules.run import run
    from services.cli.rules.show import show, summary

    tried = [(file, [run(case) for case in read_cases(file)]) for file in files]
    for file, outcomes in tried:
        show(file, outcomes)
    every = [outcome for _, outcomes in tried for outcome in outcomes]
    typer.echo(summary(every))
    raise typer.Exit(int(any(outcome.differences for outcome in every)))


@app.command()
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
    from services.cli.simulate import command

    command.require_one(out, truth, people, config if bus else None, bus=bus)
    found = command.load(scenario, seed)
    if bus and config is not None:
        asyncio.run(command.bus(scenario, found, config, site, truth, speed))
    else:
        command.film(scenario, found, out, truth, people)


OperatorConfig = Annotated[
    Path, typer.Option("-c", "--config", metavar="FILE", help="where NATS is and the operator's password (YAML)")
]
Place = Annotated[str, typer.Argument(metavar="SITE")]
OneCamera = Annotated[str | None, typer.Argument(metavar="[CAMERA]", help="one camera; without it the whole site")]
Who = Annotated[str | None, typer.Option(metavar="NAME", help="who gives the order; default: who is logged in")]
Because = Annotated[str, typer.Option("--why", metavar="TEXT", help="the reason, for the audit")]


def _order(
    action: Literal["pause", "resume"], config: Path, place: tuple[str, str | None], who: str | None, why: str
) -> None:
    from services.cli.orders import in_words, operator_name, order

    reply = asyncio.run(order(config, action, *place, operator=who or operator_name(), why=why))
    typer.echo(in_words(reply))


@app.command()
def pause(
    site: Place, config: OperatorConfig, camera: OneCamera = None, operator: Who = None, why: Because = ""
) -> None:
    """Stop processing pictures of a site or a camera within a second, until `moretta resume`."""
    _order("pause", config, (site, camera), operator, why)


@app.command()
def resume(
    site: Place, config: OperatorConfig, camera: OneCamera = None, operator: Who = None, why: Because = ""
) -> None:
    """Go on after `moretta pause`. What was paused for itself stays so until it is resumed for itself."""
    _order("resume", config, (site, camera), operator, why)


@app.command()
def aim(
    site: Place,
    camera: Annotated[str, typer.Argument(metavar="CAMERA")],
    config: OperatorConfig,
    why: Because,
    operator: Who = None,
    seconds: Annotated[float, typer.Option(min=1, max=30, metavar="S", help="how long")] = 30.0,
) -> None:
    """Show what a camera's picture is good for, and no picture: where and how large faces are, light, sharpness.

    Exit code 1 if it ended before its time: the camera was paused, is not served any more, or is aimed anew.
    """
    from rich.console import Console

    from services.cli.aim import aim as run_aim
    from services.cli.orders import operator_name

    who = operator or operator_name()
    order = run_aim(config, site, camera, operator=who, why=why.strip(), seconds=seconds, console=Console())
    if asyncio.run(order).ended != "time":  # what ended it is in the last report
        raise typer.Exit(1)


@app.command()
def stats(
    site: Place,
    config: OperatorConfig,
    since: Annotated[
        str | None, typer.Option("--from", metavar="WHEN", help="a date, or a time, by the site's clock; today")
    ] = None,
    until: Annotated[
        str | None, typer.Option("--to", metavar="WHEN", help="the last date, or the time at which to end; today")
    ] = None,
    zone: Annotated[str, typer.Option(metavar="ZONE", help="without it the whole site")] = "_site",
    step: Annotated[Literal["window", "hour", "day", "total"], typer.Option(help="what a line is about")] = "hour",
    form: Annotated[Literal["table", "csv", "json"], typer.Option("--format", help="what is printed")] = "table",
    chart: Annotated[Path | None, typer.Option(metavar="FILE.png", help="draw the rate over time there")] = None,
) -> None:
    """Show what was published about a site over time: rates with intervals, people, coverage, gaps as gaps."""
    from services.cli.stats import NoStatsError, ask, charter, shown

    draw = charter(chart)
    try:
        reply = asyncio.run(ask(config, site, zone, step, since, until))
    except NoStatsError as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(1) from None
    draw(reply)
    shown(reply, form)


@app.command("check-config")
def check_config(file: Annotated[Path, typer.Argument(metavar="FILE")]) -> None:
    """Check a settings file for all four services, with what it names: the files of secrets must be there.

    A service itself needs its own secrets only; run this where all of them are, or give the others by the environment.
    """
    from services.cli.settings_file import require

    require(file)
    typer.echo(f"{file}: good")


def main() -> None:
    """Run the command line; a user's mistake is one line each, exit code 2."""
    from services.cli.box import BoxError

    configure("moretta", LogSettings(level="warning"))
    try:
        app()
    except (SettingsError, BoxError) as error:
        typer.echo(str(error), err=True)
        sys.exit(USAGE)
    except OSError as error:
        typer.echo(f"{error.filename or 'moretta'}: {error.strerror or error}", err=True)
        sys.exit(USAGE)


if __name__ == "__main__":
    main()
