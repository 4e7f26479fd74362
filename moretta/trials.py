"""The commands that try things out: eval, demo, prove, rules test and simulate."""

import asyncio
import tempfile
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from services.kernel.settings import SettingsError
from testbed.simulation.scenario import BUILT_IN

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
    compare: Annotated[
        str | None, typer.Option(metavar="DIR", help="measure this model, too, and show both; or `shipped`")
    ] = None,
    long_side: Annotated[
        int | None, typer.Option(metavar="PX", help="analyse at this size: 160 to 1920, a multiple of 32")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="print JSON")] = False,
) -> None:
    """Measure the model on a labelled folder."""
    from modelling.evaluation.labelled import InputError
    from modelling.evaluation.measuring import evaluate_folder
    from operate import output
    from operate.evaluation import model_of, scores
    from services.inference.model import ModelError, load_model

    try:
        measure = partial(evaluate_folder, folder, only=only, long_side=long_side)
        chosen, other = load_model(model), model_of(compare) if compare else None
        with output.progress("evaluating", None) as progress:
            values = measure(model=chosen, predictions=predictions, progress=progress)
        if other is not None:
            with output.progress("evaluating the other model", None) as progress:
                values = values | {"compared": measure(model=other, progress=progress)}
    except (InputError, ModelError) as error:
        raise SettingsError("moretta eval", [("", str(error))]) from None
    output.result(values, scores, as_json=as_json)


@trials.command()
def demo(
    camera: Annotated[str | None, typer.Option(metavar="URL", help="a real file, URL or device instead")] = None,
    duration: Annotated[float | None, typer.Option(metavar="S", min=0, help="stop after so many seconds")] = None,
    mails: Annotated[Path, typer.Option(metavar="DIR", help="where the mails are kept")] = Path("demo-mails"),
) -> None:
    """Watch it work: three simulated cameras, numbers beside the truth, an alert, a mail."""
    from rich.console import Console

    from testbed.demo.demo import demo as run_demo

    with tempfile.TemporaryDirectory(prefix="moretta-") as scratch:
        code = asyncio.run(run_demo(Path(scratch), camera, duration, Console(), mails))
    raise typer.Exit(code)


@trials.command()
def tryout(
    page: Annotated[str, typer.Option(metavar="HOST:PORT", help="where aggregate serves the page")],
    websocket: Annotated[str, typer.Option(metavar="HOST:PORT", help="where NATS's websocket is")],
    host: Annotated[str, typer.Option(help="where to listen")] = "0.0.0.0",  # noqa: S104 -- a pod's
    rtsp: Annotated[int, typer.Option(min=0, max=65_535, help="port of the camera at the gate")] = 8554,
    mjpeg: Annotated[int, typer.Option(min=0, max=65_535, help="port of the camera in the hall")] = 8090,
    mail: Annotated[int, typer.Option(min=0, max=65_535, help="port of the mail server")] = 2525,
    door: Annotated[int, typer.Option(min=0, max=65_535, help="port of the page with its numbers")] = 8088,
) -> None:
    """Be two simulated cameras, a mail server that prints its mails, and one port for the page: the chart's try-out."""
    from testbed.tryout.door import Door
    from testbed.tryout.tryout import Ports, place, serve

    doors = Door(place("--page", page), place("--websocket", websocket))
    asyncio.run(serve(host, Ports(rtsp, mjpeg, mail, door), doors))


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
    """Prove that no picture is kept: run it all, kill it, and search every place for a known film. Two minutes.

    Run it as root, with strace. Exit code 1 if anything was found, or any place could not be searched.
    """
    from testbed.proof.report import prove as run_proof

    raise typer.Exit(run_proof(seconds, without or [], report, as_json=as_json))


rules_app = typer.Typer(help="Try rate rules.", no_args_is_help=True)
trials.add_typer(rules_app, name="rules")


@rules_app.command("test")
def rules_test(files: Annotated[list[Path], typer.Argument(metavar="FILE...")]) -> None:
    """Run rules against written timelines; exit code 1 if anything differs from what a file expects."""
    from operate.rules.file import read_cases
    from operate.rules.output import run, show, summary

    tried = [(file, [run(case) for case in read_cases(file)]) for file in files]
    for file, outcomes in tried:
        show(file, outcomes)
    every = [outcome for _, outcomes in tried for outcome in outcomes]
    typer.echo(summary(every))
    raise typer.Exit(int(any(outcome.differences for outcome in every)))


@trials.command()
def simulate(
    scenario: Annotated[str, typer.Argument(metavar="SCENARIO", help=f"a YAML file, or {', '.join(BUILT_IN)}")],
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
    from testbed.simulation import simulate

    simulate.require_one(out, truth, people, config if bus else None, bus=bus)
    found = simulate.load(scenario, seed)
    if bus and config is not None:
        asyncio.run(simulate.bus(scenario, found, config, site, truth, speed))
    else:
        simulate.film(scenario, found, out, truth, people)
