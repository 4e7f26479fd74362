"""The command `moretta service`: a box that goes on after a power cut."""

from pathlib import Path
from typing import Annotated

import typer

service_unit = typer.Typer(help="Run a box as a service of systemd, which starts it again after a power cut.")


@service_unit.command()
def install(
    config: Annotated[
        Path | None, typer.Option("-c", "--config", metavar="FILE", help="settings; default: of the last `moretta up`")
    ] = None,
    data: Annotated[
        Path | None, typer.Option(metavar="DIR", help="keep numbers here; default: in this user's data folder")
    ] = None,
    user: Annotated[
        str | None, typer.Option("--as", metavar="USER", help="called by root: who runs it; default: who called sudo")
    ] = None,
) -> None:
    """Write a unit, start it, and wait until it runs. With sudo it is one of the machine, else one of this user.

    Where no systemd runs, the unit is printed, and the exit code is 1.
    """
    from operate.systemd.service import Host, ServiceError, is_booted, unit_of
    from operate.systemd.service import install as install_unit

    host = Host.of_this_user()
    unit = unit_of(host, config, data, user)
    if not is_booted():
        typer.echo(unit.text, nl=False)
        typer.echo(f"no systemd runs here, so nothing was written; this unit belongs in {host.units}", err=True)
        raise typer.Exit(1)
    try:
        _print(install_unit(host, unit))
    except ServiceError as error:
        _fail(error)


@service_unit.command()
def status() -> None:
    """Show whether the box runs, and where its log is. Exit code 1 if it does not run."""
    from operate.systemd.service import Host
    from operate.systemd.service import status as unit_status

    lines, runs = unit_status(Host.of_this_user())
    _print(lines)
    raise typer.Exit(0 if runs else 1)


@service_unit.command()
def remove() -> None:
    """Stop the box and remove its unit; settings and numbers stay."""
    from operate.systemd.service import Host, ServiceError
    from operate.systemd.service import remove as remove_unit

    try:
        _print(remove_unit(Host.of_this_user()))
    except ServiceError as error:
        _fail(error)


def _print(lines: list[str]) -> None:
    typer.echo("\n".join(lines))


def _fail(error: Exception) -> None:
    typer.echo(str(error), err=True)
    raise typer.Exit(1)
