"""The commands `moretta backup` and `moretta restore`."""

import asyncio
from collections.abc import Coroutine
from pathlib import Path
from typing import Annotated, Any

import typer

keeping = typer.Typer()
Config = Annotated[
    Path,
    typer.Option("-c", "--config", metavar="FILE", help="where NATS is and the seed of the identity backup (YAML)"),
]


@keeping.command()
def backup(
    config: Config, out: Annotated[Path, typer.Option(metavar="DIR", help="a folder that is not there yet")]
) -> None:
    """Write what was published, decided and ordered into a folder, while everything runs.

    Windows, alerts, rules' states, operational alerts, deliveries, silences, orders; for `nats stream restore`, too.
    """
    from operate import show
    from operate.backup.run import backup as run

    with show.progress("backing up", None) as advance:
        lines = _done(run(_nats(config), config, out, advance))
    typer.echo("\n".join([*lines, f"{out}: whole"]))


@keeping.command()
def restore(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="a folder of moretta backup")],
    config: Config,
    replace: Annotated[bool, typer.Option("--replace", help="put aside what the streams hold, and replace it")] = False,
) -> None:
    """Put a backup back, while ingest, aggregate and notify are stopped. Unless it is whole nothing is changed."""
    from operate import show
    from operate.backup.run import restore as run

    with show.progress("restoring", None) as advance:
        lines = _done(run(_nats(config), config, folder, replace=replace, advance=advance))
    typer.echo("\n".join([*lines, "put back; start the services"]))


def _nats(config: Path) -> Any:
    from operate.orders import OperatorFile
    from services.kernel.settings import load

    return load(config, OperatorFile).nats


def _done(work: Coroutine[Any, Any, list[str]]) -> list[str]:
    from operate.backup.snapshots import BackupError

    try:
        return asyncio.run(work)
    except BackupError as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(1) from None
