"""The command `moretta size`."""

from typing import Annotated

import typer

from operate.sizing import Sent

sizing = typer.Typer()


@sizing.command()
def size(
    cameras: Annotated[int | None, typer.Option(min=1, max=100_000, help="how many")] = None,
    stream: Annotated[Sent, typer.Option(help="what they send: lines of a picture, and pictures a second")] = "1080p25",
    fps: Annotated[float, typer.Option(min=0.1, max=25, help="analysed pictures a second of each")] = 5.0,
    sites: Annotated[int, typer.Option(min=1, max=10_000, help="sites that share them")] = 1,
    zones: Annotated[int, typer.Option(min=0, max=100_000, help="zones, all sites together")] = 1,
    core_month: Annotated[
        float | None,
        typer.Option(metavar="PRICE", min=0, help="what a core costs a month; then also what a camera does"),
    ] = None,
    table: Annotated[
        bool, typer.Option("--table", help="which machine carries how many: measured, computed, not tried")
    ] = False,
) -> None:
    """Print the chart's values for so many cameras, by what was measured (docs/operations.md, Sizing).

    What does not fit into one installation is among the comments. `--table` is about one machine without a cluster.
    """
    from operate.sizing.machines import table as machines
    from operate.sizing.needs import Installation, need, pictures
    from operate.sizing.values import values

    if table:
        if cameras is not None:
            raise typer.BadParameter("has all numbers of cameras, so goes without --cameras", param_hint="--table")
        typer.echo(machines())
        return
    if cameras is None:
        raise typer.BadParameter("say how many cameras, or take --table", param_hint="--cameras")
    if fps > pictures(stream):
        raise typer.BadParameter(f"{stream} has {pictures(stream)} pictures a second", param_hint="--fps")
    typer.echo(values(need(Installation(cameras, stream, fps, sites, zones)), core_month), nl=False)
