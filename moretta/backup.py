"""The commands `moretta backup` and `moretta restore`."""

import asyncio
from collections.abc import Coroutine
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, TypeVar

import typer

T = TypeVar("T")
keeping = typer.Typer()
Config = Annotated[
    Path,
    typer.Option("-c", "--config", metavar="FILE", help="where NATS is and the seed of the identity backup (YAML)"),
]
_IDENTITY = "backup"
_FILMS = (
    "if the site has close_on_end, its windows may rightly lie there: then remove them only if aggregate asks for it"
)


@keeping.command()
def backup(
    config: Config, out: Annotated[Path, typer.Option(metavar="DIR", help="a folder that is not there yet")]
) -> None:
    """Write what was published, decided and ordered into a folder, while everything runs.

    Windows, alerts, rules' states, operational alerts, deliveries, silences, orders; for `nats stream restore`, too.
    """
    from operate import output
    from operate.backup.backup import backup as run

    with output.progress("backing up", None) as advance:
        lines = _done(run(_nats(config), config, out, advance))
    typer.echo("\n".join([*lines, f"{out}: whole"]))


@keeping.command()
def restore(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="a folder of moretta backup")],
    config: Config,
    replace: Annotated[bool, typer.Option("--replace", help="put aside what the streams hold, and replace it")] = False,
) -> None:
    """Put a backup back, while ingest, aggregate and notify are stopped. Unless it is whole nothing is changed."""
    from operate import output
    from operate.backup.backup import restore as run

    with output.progress("restoring", None) as advance:
        lines = _done(run(_nats(config), config, folder, replace=replace, advance=advance))
    typer.echo("\n".join([*lines, "put back; start the services"]))


@keeping.command()
def repair(
    site: Annotated[str, typer.Argument(metavar="SITE", help="the site that publishes nothing since")],
    config: Config,
    plan: Annotated[bool, typer.Option("--plan", help="say what would be removed, and change nothing")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="do not ask")] = False,
) -> None:
    """Remove windows, alerts and rules' states that lie in the future, because a clock was wrong when they were made.

    Take a backup first, and compare the clock with another one: to a clock that is behind, windows of the past lie in
    the future. Windows of recordings (close_on_end) may rightly lie there, and would go too. Aggregate goes on by
    itself within ten seconds; the time up to now counts as not observed.
    """
    from operate import output
    from operate.backup.repair import Repair, described

    work = Repair(_nats(config), config, site)
    with output.progress("reading", None) as advance:
        found = _done(work.find(advance))
    if not found:
        typer.echo(f"nothing of site {site} lies in the future")
        return
    now = f"now it is {datetime.now(UTC):%Y-%m-%d %H:%M:%S} UTC by this machine and by NATS"
    typer.echo("\n".join([f"{now}; if it is not, set the clocks right and remove nothing", *described(found), _FILMS]))
    if plan or not (yes or typer.confirm("remove them for good?")):
        return
    with output.progress("removing", len(found)) as advance:
        _done(work.remove(found, advance))
    typer.echo(f"removed: {len(found)} messages")


def _nats(config: Path) -> Any:
    """Return where NATS is; SettingsError if the file is of an identity that may not read and write streams."""
    from operate.orders import OperatorFile
    from proto.permissions import ACCOUNTS, NAMED
    from services.kernel.settings import SettingsError, load

    settings = load(config, OperatorFile).nats
    who = str(settings.user)
    if settings.seed is not None and who != _IDENTITY and (who in ACCOUNTS or who.startswith(NAMED)):
        why = f"{who!r} may not do this; take the settings of {_IDENTITY!r}, which `moretta nats apply` and `up` make"
        raise SettingsError(config, [("nats.user", f"{why}: {config.with_name(f'{_IDENTITY}.yaml')}")])
    return settings


def _done(work: Coroutine[Any, Any, T]) -> T:
    from operate.backup.snapshots import BackupError

    try:
        return asyncio.run(work)
    except BackupError as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(1) from None
