"""The command `moretta`."""

import asyncio
import sys
import tempfile
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from moretta.backup import keeping
from moretta.cameras import cameras
from moretta.doctor import doctor
from moretta.nats import app as nats
from moretta.notify import notify, silence
from moretta.operating import CellSeparator, operating
from moretta.page import page
from moretta.size import sizing
from moretta.systemd import service_unit
from moretta.trials import trials
from moretta.up import box
from operate.box.machine import BoxError, NotYetError
from operate.output import outlive_readers
from operate.transparency.write import transparency
from services.kernel.log import LogSettings, configure
from services.kernel.settings import SettingsError

MEANT = {
    **dict.fromkeys(("start", "run", "serve"), "up"),
    **dict.fromkeys(("check", "validate", "config"), "check-config"),
    **dict.fromkeys(("stop", "halt"), "pause"),
    "status": "doctor",
}
"""What people type who know other programs, and what they mean here."""


class Commands(TyperGroup):
    """The commands; a name that other programs have is answered with ours."""

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """Return the command that is named; UsageError says which one may be meant."""
        if args and args[0] in MEANT and args[0] not in self.commands:
            ctx.fail(f"No such command '{args[0]}'. Did you mean '{MEANT[args[0]]}'?")
        return super().resolve_command(ctx, args)


app = typer.Typer(
    cls=Commands,
    help="Measures how many people wear a face mask in front of cameras, and keeps no picture.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)
USAGE = 2


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


app.add_typer(box)
app.add_typer(trials)
app.add_typer(page)
app.add_typer(operating)
app.add_typer(sizing)
app.add_typer(transparency)
app.add_typer(doctor)
app.add_typer(keeping)
app.add_typer(nats, name="nats")
app.add_typer(cameras, name="cameras")
app.add_typer(notify, name="notify")
app.add_typer(silence, name="silence", no_args_is_help=True)
app.add_typer(service_unit, name="service", no_args_is_help=True)
RequiredConfig = Annotated[Path, typer.Option("-c", "--config", metavar="FILE", help="settings (YAML)")]


def _service(name: str, config: Path) -> None:
    from moretta.service import service

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
def count(
    source: Annotated[str, typer.Argument(metavar="SOURCE", help="a recorded file")],
    fps: Annotated[float, typer.Option(min=0.5, max=30, help="analysed pictures per second of the film")] = 5.0,
    as_json: Annotated[bool, typer.Option("--json", help="print JSON")] = False,
    as_csv: Annotated[bool, typer.Option("--csv", help="print CSV, as `moretta stats --format csv` does")] = False,
    sep: CellSeparator = ",",
) -> None:
    """Count the people in a recorded file, with the real services on a private bus.

    Exit code 1 if it could not be counted in one go, as when a service was killed.
    """
    from operate import output
    from operate.box.count import CountError, length_of
    from operate.box.count import count as run_count
    from operate.stats.stats import check_separator, shown

    check_separator("moretta count", sep, is_csv=as_csv, option="--csv")
    if as_json and as_csv:
        raise SettingsError("moretta count", [("--csv", "and --json are two forms of the same; give one of them")])
    path = Path(source)
    source = str(path.resolve()) if path.exists() else source
    length = length_of(source)
    try:
        with tempfile.TemporaryDirectory(prefix="moretta-") as scratch, output.progress("counting", length) as progress:
            tally = asyncio.run(run_count(Path(scratch), source, fps, progress))
    except CountError as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(1) from None
    shown(tally.reply(), "csv", sep) if as_csv else output.result(tally.result(), output.counts, as_json=as_json)


@app.command("check-config")
def check_config(
    file: Annotated[Path | None, typer.Argument(metavar="FILE")] = None,
    without_secrets: Annotated[
        bool, typer.Option("--without-secrets", help="all but the files that it names, which are elsewhere")
    ] = False,
    values: Annotated[
        list[Path] | None,
        typer.Option("--values", metavar="FILE", help="values of the chart; may be repeated, as helm's -f"),
    ] = None,
    chart: Annotated[
        Path | None, typer.Option("--chart", metavar="DIR", help="the chart; else k8s/moretta, if it is there")
    ] = None,
) -> None:
    """Check a settings file for all four services, with what it names: the files of secrets must be there.

    A service itself needs its own secrets only; run this where all of them are, or give the others by the environment.
    A camera whose file or device is not here is a warning, and so are mails that travel openly. Values of the chart
    are checked without secrets, and by helm, if it is on PATH, against the chart's own rules.
    """
    from operate.check_config.check_config import looked_at, result

    names, warnings = looked_at(file, values or [], chart, secrets=not without_secrets)
    for path, why in warnings:
        typer.echo(": ".join(part for part in (names, path, why) if part), err=True)
    typer.echo(f"{names}: {result(values or [], chart, secrets=not without_secrets)}")


def main() -> None:
    """Run the command line; print each of a user's mistakes as one line, with exit code 2."""
    outlive_readers()
    configure("moretta", LogSettings(level="warning"))
    try:
        app(prog_name="moretta")
    except (SettingsError, BoxError) as error:
        typer.echo(str(error), err=True)
        sys.exit(1 if isinstance(error, NotYetError) else USAGE)
    except OSError as error:
        typer.echo(f"{error.filename or 'moretta'}: {error.strerror or error}", err=True)
        sys.exit(USAGE)


if __name__ == "__main__":
    main()
