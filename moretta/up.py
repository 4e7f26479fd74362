"""The command `moretta up`."""

import asyncio
import tempfile
from pathlib import Path
from typing import Annotated

import typer

from moretta.interrupt import leaving_at_once
from proto.types import Profile
from services.kernel.settings import SettingsError

box = typer.Typer()
_COMMAND = "moretta up"


@box.command()
def up(
    config: Annotated[Path | None, typer.Option("-c", "--config", metavar="FILE", help="settings (YAML)")] = None,
    camera: Annotated[list[str] | None, typer.Option(metavar="NAME=URL", help="a camera; may be repeated")] = None,
    duration: Annotated[float | None, typer.Option(metavar="S", min=0, help="stop after so many seconds")] = None,
    data: Annotated[
        Path | None, typer.Option(metavar="DIR", help="keep numbers here; default: in this user's data folder")
    ] = None,
    temporary: Annotated[bool, typer.Option("--temporary", help="keep no numbers: they are gone at the end")] = False,
    profile: Annotated[
        Profile | None, typer.Option(help="what is published about people at a --camera; default: the one for trials")
    ] = None,
    page_host: Annotated[
        str | None,
        typer.Option(
            metavar="ADDRESS",
            help="this machine's address at which others see the page, too, by HTTPS and a key; 0.0.0.0: each it has",
        ),
    ] = None,
    simulate: Annotated[
        bool,
        typer.Option(
            "--simulate", help="use simulated cameras, to try out a subscriber; without --data keep no numbers"
        ),
    ] = False,
    websocket: Annotated[
        str | None,
        typer.Option(metavar="HOST:PORT", help="listen address for read-only browser connections (WebSocket)"),
    ] = None,
    origin: Annotated[
        list[str] | None, typer.Option(metavar="URL", help="a page from which browsers may connect; may be repeated")
    ] = None,
) -> None:
    """Run NATS and the four services on this machine."""
    with leaving_at_once():
        from operate.box.data_folder import chosen_folder, held, kept_words, remember, rename_accounts
        from operate.box.terms import in_force
        from operate.box.up import up as run_up
        from operate.nats.nats_yaml import browsers_of_box
        from services.ingest.settings import IngestFile
        from services.kernel.settings import load
        from services.sites.profiles import TRIAL, USUAL

    _require_cameras(config, camera, profile, simulate=simulate)
    if page_host is not None and config is not None:
        raise SettingsError(_COMMAND, [("--page-host", f"goes without -c; in {config} it is `aggregate.page.host`")])
    if temporary and data is not None:
        raise SettingsError(_COMMAND, [("--temporary", "keeps nothing, so goes without --data")])
    door = browsers_of_box(_COMMAND, websocket, origin or [])
    chosen = chosen_folder(data, keeps=not (simulate or temporary))
    with tempfile.TemporaryDirectory(prefix="moretta-") as scratch:
        place = Path(scratch)
        made = (
            _simulated(place, page_host)
            if simulate
            else _given(config, camera or [], place, profile or TRIAL, page_host)
        )
        _require_usable(made, config, camera or [])
        with held(chosen or Path(scratch, "data")) as folder:
            rename_accounts(folder)
            file = remember(folder, made, is_made=simulate or bool(camera))
            sites = load(file, IngestFile).sites
            flag = f"--profile {USUAL if profile in {None, TRIAL} else 'NAME'}"
            other = "" if simulate else f"`profile` of a site in {config}" if config else flag
            facts = f"{in_force(sites, other)}\n{kept_words(chosen, data)}"
            raise typer.Exit(asyncio.run(run_up(folder, file, sites, duration, door, facts)))


def _require_cameras(config: Path | None, camera: list[str] | None, profile: Profile | None, *, simulate: bool) -> None:
    """Raise SettingsError unless the options say which cameras there are, once."""
    if config is None and not camera and not simulate:
        raise SettingsError(_COMMAND, [("", "needs -c FILE, --camera NAME=URL or --simulate")])
    if simulate and (config or camera):
        raise SettingsError(_COMMAND, [("--simulate", "has cameras of its own, so goes without -c and --camera")])
    if profile is not None and (simulate or config is not None):
        why = "goes with --camera alone: a file has `profile` in each of its sites, and simulated people are nobody"
        raise SettingsError(_COMMAND, [("--profile", why)])


def _simulated(folder: Path, page_host: str | None) -> Path:
    from testbed.simulation.market import looped

    return looped(folder, page_host)


def _given(config: Path | None, cameras: list[str], folder: Path, profile: Profile, page_host: str | None) -> Path:
    from operate.settings_file import require, with_cameras

    if config is not None:
        require(config)
    return with_cameras(config, cameras, folder, profile, page_host)


def _require_usable(file: Path, config: Path | None, cameras: list[str]) -> None:
    """Raise SettingsError unless all services can use the file and each camera is here; warn of what is not used."""
    from operate.settings_file import elsewhere, require, require_sources

    require(file, config or "--camera")
    require_sources(cameras)
    if (url := elsewhere(file)) is not None:
        why = "not used: `moretta up` has a NATS server of its own; where that is, DIR/identities/operator.yaml says"
        typer.echo(f"{config or '--camera'}: nats.url: {url} is {why}", err=True)
