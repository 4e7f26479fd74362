"""The command `moretta`."""

import asyncio
import sys
import tempfile
from importlib.metadata import version
from pathlib import Path
from typing import Annotated

import typer

from operate.backup.command import keeping
from operate.box.error import BoxError
from operate.cli.notify.command import notify, silence
from operate.cli.operating import operating
from operate.cli.streams import outlive_readers
from operate.cli.trials import trials
from operate.doctor.command import doctor
from operate.sizing.command import sizing
from operate.transparency.command import transparency
from services.kernel.log import LogSettings, configure
from services.kernel.settings import SettingsError

app = typer.Typer(
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


app.add_typer(trials)
app.add_typer(operating)
app.add_typer(sizing)
app.add_typer(transparency)
app.add_typer(doctor)
app.add_typer(keeping)
app.add_typer(notify, name="notify")
app.add_typer(silence, name="silence", no_args_is_help=True)
Config = Annotated[Path | None, typer.Option("-c", "--config", metavar="FILE", help="settings (YAML)")]
RequiredConfig = Annotated[Path, typer.Option("-c", "--config", metavar="FILE", help="settings (YAML)")]


@app.command()
def up(
    config: Config = None,
    camera: Annotated[list[str] | None, typer.Option(metavar="NAME=URL", help="a camera; may be repeated")] = None,
    duration: Annotated[float | None, typer.Option(metavar="S", min=0, help="stop after so many seconds")] = None,
    data: Annotated[Path | None, typer.Option(metavar="DIR", help="keep windows and alerts here over restarts")] = None,
    simulate: Annotated[
        bool, typer.Option("--simulate", help="with cameras that never were, to try subscribers")
    ] = False,
    websocket: Annotated[str | None, typer.Option(metavar="HOST:PORT", help="where browsers come in, to read")] = None,
    origin: Annotated[list[str] | None, typer.Option(metavar="URL", help="a page from which they may")] = None,
) -> None:
    """Run NATS and the four services on this machine."""
    from operate.box.data_folder import held
    from operate.box.up import up as run_up
    from operate.nats.websocket import of_box
    from operate.settings_file import elsewhere, require, require_sources, with_cameras
    from operate.simulation.simulated import simulated
    from services.ingest.settings import IngestFile
    from services.kernel.settings import load

    if config is None and not camera and not simulate:
        raise SettingsError("moretta up", [("", "needs -c FILE, --camera NAME=URL or --simulate")])
    if simulate and (config or camera):
        raise SettingsError("moretta up", [("--simulate", "has cameras of its own, so goes without -c and --camera")])
    door = of_box(websocket, origin or [])
    with tempfile.TemporaryDirectory(prefix="moretta-") as scratch:
        if config is not None:
            require(config)
        file = simulated(Path(scratch)) if simulate else with_cameras(config, camera or [], Path(scratch))
        require(file, config or "--camera")
        require_sources(camera or [])
        if (url := elsewhere(file)) is not None:
            why = (
                "not used: `moretta up` has a NATS server of its own; where that is, DIR/identities/operator.yaml says"
            )
            typer.echo(f"{config or '--camera'}: nats.url: {url} is {why}", err=True)
        with held(data or Path(scratch)) as folder:
            raise typer.Exit(asyncio.run(run_up(folder, file.resolve(), load(file, IngestFile).sites, duration, door)))


def _service(name: str, config: Path) -> None:
    from operate.cli.service import service

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
) -> None:
    """Count the people in a recorded file, with the real services on a private bus."""
    from operate import show
    from operate.cli.count import count as run_count
    from operate.cli.count import length_of

    path = Path(source)
    source = str(path.resolve()) if path.exists() else source
    length = length_of(source)
    with tempfile.TemporaryDirectory(prefix="moretta-") as scratch, show.progress("counting", length) as progress:
        result = asyncio.run(run_count(Path(scratch), source, fps, progress))
    show.result(result, show.counts, as_json=as_json)


@app.command("nats-config")
def nats_config(
    out: Annotated[Path | None, typer.Option(metavar="DIR", help="the folder of keys and configuration")] = None,
    url: Annotated[str | None, typer.Option(metavar="URL", help="what the services call the server")] = None,
    listen: Annotated[str | None, typer.Option(metavar="HOST:PORT", help="where the server listens")] = None,
    store: Annotated[str | None, typer.Option(metavar="DIR", help="where the server keeps its streams")] = None,
    update: Annotated[bool, typer.Option("--update", help="write it anew with the same keys")] = False,
    rotate: Annotated[str | None, typer.Option(metavar="IDENTITY", help="a new key beside the old one; or all")] = None,
    retire: Annotated[str | None, typer.Option(metavar="IDENTITY", help="the old key ends; or all")] = None,
    matrix: Annotated[bool, typer.Option("--matrix", help="show who may do what, and write nothing")] = False,
    leaf: Annotated[list[str] | None, typer.Option(metavar="URL", help="of a site: where its hub is")] = None,
    hub: Annotated[str | None, typer.Option(metavar="HOST:PORT", help="make a hub; where it waits for sites")] = None,
    site: Annotated[
        list[str] | None, typer.Option(metavar="ID[=KEY]", help="beside --leaf a site; at a hub with its leaf's key")
    ] = None,
    tls: Annotated[
        tuple[str, str, str] | None, typer.Option(metavar="CERT KEY CA", help="files of the leaf, or of the hub")
    ] = None,
    server_tls: Annotated[
        tuple[str, str, str] | None,
        typer.Option(metavar="CERT KEY CA", help="files of a site's server: nobody comes in without a certificate"),
    ] = None,
    kubernetes: Annotated[
        str | None, typer.Option(metavar="RELEASE", help="write Secrets and the chart's values, too")
    ] = None,
    namespace: Annotated[str | None, typer.Option(metavar="NS", help="of that release")] = None,
    websocket: Annotated[
        str | None, typer.Option(metavar="HOST:PORT", help="where browsers come in, to read; off: nowhere")
    ] = None,
    origin: Annotated[list[str] | None, typer.Option(metavar="URL", help="a page from which they may")] = None,
    page_open: Annotated[bool, typer.Option("--page-open", help="no key is asked of them: anybody may look")] = False,
    reader: Annotated[
        list[str] | None, typer.Option(metavar="NAME", help="one who reads, with a key and an account of its own")
    ] = None,
    remove_reader: Annotated[
        list[str] | None, typer.Option(metavar="NAME", help="beside --update: that reader's key and files go")
    ] = None,
    stream: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME=SIZE", help="how large a stream is, such as WINDOWS=2GiB; may be repeated"),
    ] = None,
) -> None:
    """Make nats-server's configuration and a key for each identity, or renew keys while everything runs."""
    from rich.console import Console

    from operate.identities.leafnodes import HUB_STREAMS
    from operate.nats import config as command
    from operate.nats import leaf as nats_leaf
    from operate.nats.readers import readers_of
    from operate.nats.sizes import sizes_of
    from operate.nats.websocket import door_of

    console = Console()
    if matrix:
        command.matrix(console)
        return
    given = {"update": update, "rotate": rotate is not None, "retire": retire is not None}
    todo = [name for name, is_given in given.items() if is_given]
    if out is None or len(todo) > 1:
        why = "is missing; name the folder of keys and configuration" if out is None else "does one thing at a time"
        place = "--out" if out is None else " ".join(f"--{name}" for name in todo)
        raise SettingsError("moretta nats-config", [(place, why)])
    done = todo[0] if todo else "make"
    where: dict[str, str | None] = {"listen": listen, "store": store, "url": url}
    readers, release = readers_of(reader or [], remove_reader or []), (kubernetes, namespace)
    if hub is not None or nats_leaf.is_hub(out):
        for option, value in (("--leaf", leaf), ("--server-tls", server_tls), ("--websocket", websocket)):
            if value:
                raise SettingsError("moretta nats-config", [(option, "is a site's; a hub's folder is another one")])
        there = where | {"leaf_listen": hub}
        sizes = sizes_of(stream or [], HUB_STREAMS)
        secure = nats_leaf.tls_of(tls)
        steps = nats_leaf.hub_done(done, out, there, site or [], secure, console, release, readers, sizes)
    else:
        connection = nats_leaf.leaf_of(leaf or [], site or [], nats_leaf.tls_of(tls))
        secure = nats_leaf.tls_of(server_tls, "--server-tls")
        sizes = sizes_of(stream or [])
        door = door_of(websocket, origin or [], is_open=page_open)
        kept = command.done(done, out, rotate or retire or "", where, connection, secure, release, door, readers, sizes)
        command.shown(kept, console)
        steps = command.next_steps(kept, done, rotate or retire or "")
    for step in steps:
        console.print(f"next: {step}", soft_wrap=True, highlight=False)


@app.command("nats-streams")
def nats_streams(
    out: Annotated[Path, typer.Option(metavar="DIR", help="a site's or a hub's folder of `moretta nats-config`")],
    config: Config = None,
    replicas: Annotated[
        int | None, typer.Option(min=1, max=5, help="copies of each stream; 3 on a cluster; else as many as there are")
    ] = None,
    plan: Annotated[bool, typer.Option("--plan", help="do nothing; tell what would be done")] = False,
    shrink: Annotated[
        bool, typer.Option("--shrink", help="also take away what this version does not need; may lose messages")
    ] = False,
) -> None:
    """Make the streams of a site, those that a hub copies from it, or a hub's own; again does no harm.

    What is there is only ever extended, unless --shrink says otherwise. The server is the one that the folder names;
    with -c FILE that of its section `nats`, which may ask for TLS.
    """
    from operate.nats.streams import How, make
    from operate.orders import OperatorFile
    from services.kernel.settings import load

    base = load(config, OperatorFile).nats if config else None
    for line in asyncio.run(make(out, base, How(replicas, plan, shrink))):
        typer.echo(line)


@app.command("check-config")
def check_config(
    file: Annotated[Path, typer.Argument(metavar="FILE")],
    without_secrets: Annotated[
        bool, typer.Option("--without-secrets", help="all but the files that it names, which are elsewhere")
    ] = False,
    values: Annotated[
        bool, typer.Option("--values", help="FILE is values of the chart: check its `settings`, without secrets")
    ] = False,
) -> None:
    """Check a settings file for all four services, with what it names: the files of secrets must be there.

    A service itself needs its own secrets only; run this where all of them are, or give the others by the environment.
    A camera whose file or device is not here is a warning, and so are mails that travel openly.
    """
    from operate.cli.check_config import checked, checked_values

    for path, why in checked_values(file) if values else checked(file, secrets=not without_secrets):
        typer.echo(f"{file}: {path}: warning: {why}", err=True)
    typer.echo(f"{file}: good{', but for the files that it names' if values or without_secrets else ''}")


def main() -> None:
    """Run the command line; a user's mistake is one line each, exit code 2."""
    outlive_readers()
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
