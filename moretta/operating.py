"""The commands of an operator, which send requests to a running system over NATS."""

import asyncio
from pathlib import Path
from typing import Annotated, Literal

import typer

from services.statistics.columns import Separator

operating = typer.Typer()
CONFIG = "MORETTA_CONFIG"
"""The variable that an operator's commands take for -c, as in the chart's toolbox."""


def _reached(ctx: typer.Context, config: Path | None) -> Path:
    """Return the file that is given, else that of `moretta up` in this user's data folder."""
    if config is not None:
        return config
    from operate.box.data_folder import operator_file, require_running, usual_box

    folder = usual_box(ctx.command_path)
    require_running(ctx.command_path, folder)
    return operator_file(folder)


OperatorConfig = Annotated[
    Path,
    typer.Option(
        "-c",
        "--config",
        metavar="FILE",
        envvar=CONFIG,
        callback=_reached,
        default_factory=lambda: None,
        show_default="of this user's `moretta up`",
        help="where NATS is and the operator's seed (YAML)",
    ),
]
OnlySite = Annotated[str | None, typer.Argument(metavar="[SITE]", help="without it the only one")]
SiteArgument = Annotated[str, typer.Argument(metavar="SITE")]
OneCamera = Annotated[str | None, typer.Argument(metavar="[CAMERA]", help="one camera; without it the whole site")]
Who = Annotated[str | None, typer.Option(metavar="NAME", help="who gives the order; default: who is logged in")]
CellSeparator = Annotated[
    Separator, typer.Option(help="between the cells of CSV; with ';' numbers have a decimal comma")
]
Because = Annotated[str, typer.Option("--why", metavar="TEXT", help="the reason, for the audit")]


def _order(
    action: Literal["pause", "resume"], config: Path, place: tuple[str, str | None], who: str | None, why: str
) -> None:
    from operate.orders import UNRECORDED, in_words, operator_name, order

    reply = asyncio.run(order(config, action, *place, operator=who or operator_name(), why=why))
    typer.echo(in_words(reply))
    if not reply.recorded:
        typer.echo(f"moretta {action}: {UNRECORDED}", err=True)
        raise typer.Exit(1)


@operating.command()
def pause(
    site: SiteArgument, config: OperatorConfig, camera: OneCamera = None, operator: Who = None, why: Because = ""
) -> None:
    """Stop processing pictures of a site or a camera within a second, until `moretta resume`.

    Exit code 1 if the pause is in force and NATS has not stored it within 5 s: ingest goes on trying.
    """
    _order("pause", config, (site, camera), operator, why)


@operating.command()
def resume(
    site: SiteArgument, config: OperatorConfig, camera: OneCamera = None, operator: Who = None, why: Because = ""
) -> None:
    """Go on after `moretta pause`. What was paused for itself, or is stuck, stays so until it is resumed for itself."""
    _order("resume", config, (site, camera), operator, why)


@operating.command()
def aim(
    site: SiteArgument,
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

    from operate.aim import aim as run_aim
    from operate.orders import operator_name

    who = operator or operator_name()
    order = run_aim(config, site, camera, operator=who, why=why.strip(), seconds=seconds, console=Console())
    if asyncio.run(order).ended != "time":  # what ended it is in the last report
        raise typer.Exit(1)


@operating.command()
def stats(
    config: OperatorConfig,
    site: OnlySite = None,
    since: Annotated[
        str | None, typer.Option("--from", metavar="WHEN", help="a date, or a time, by the site's clock; today")
    ] = None,
    until: Annotated[
        str | None, typer.Option("--to", metavar="WHEN", help="the last date, or the time at which to end; today")
    ] = None,
    month: Annotated[str | None, typer.Option(metavar="YYYY-MM", help="short for --from and --to: all of it")] = None,
    zone: Annotated[str, typer.Option(metavar="ZONE", help="without it the whole site")] = "_site",
    step: Annotated[Literal["window", "hour", "day", "total"], typer.Option(help="what a line is about")] = "hour",
    form: Annotated[Literal["table", "csv", "json"], typer.Option("--format", help="what is printed")] = "table",
    sep: CellSeparator = ",",
    chart: Annotated[Path | None, typer.Option(metavar="FILE.png", help="draw the rate over time there")] = None,
) -> None:
    """Show what was published about a site over time: rates with intervals, people, coverage, gaps as gaps."""
    from operate.stats.stats import NoStatsError, ask, between, charter, check_separator, shown

    check_separator("moretta stats", sep, is_csv=form == "csv", option="--format csv")
    dates = between(month, since, until)
    draw = charter(chart)
    try:
        reply = asyncio.run(ask(config, site, zone, step, *dates))
    except NoStatsError as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(1) from None
    draw(reply)
    shown(reply, form, sep)


@operating.command()
def calibrate(
    site: SiteArgument,
    config: OperatorConfig,
    counts: Annotated[
        Path,
        typer.Option("--from-count", metavar="FILE.csv", help="who passed, counted by hand: start,end,masked,others"),
    ],
    zone: Annotated[
        str, typer.Option(metavar="ZONE", help="where it was counted; without it the whole site")
    ] = "_site",
    as_json: Annotated[bool, typer.Option("--json", help="print JSON")] = False,
) -> None:
    """Compare an hour of counting by hand with what was published meanwhile; it corrects nothing.

    FILE.csv has a heading and a line for each time that was counted, from one border of windows to another.
    """
    from operate.stats.calibrate import compare
    from operate.stats.calibrate_table import shown

    shown(asyncio.run(compare(config, site, counts, zone)), as_json=as_json)


@operating.command()
def report(
    config: OperatorConfig,
    out: Annotated[Path, typer.Option(metavar="FILE.html", help="where it is written")],
    site: OnlySite = None,
    day: Annotated[str | None, typer.Option(metavar="DATE", help="by the site's clock; default: yesterday")] = None,
    language: Annotated[str, typer.Option(metavar="LANGUAGE", help="of the report, such as fr")] = "en",
    so_far: Annotated[
        bool, typer.Option("--so-far", help="today, until the last window that is, or should be, published")
    ] = False,
    sites: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="settings that say what people call the site, its zones and rules"),
    ] = None,
) -> None:
    """Write the daily report of a site into one HTML file: as its readers get it, given the settings of its site."""
    from operate.stats.daily_report import NoReportError, write

    try:
        written = asyncio.run(write(config, site, day, out, language, so_far=so_far, sites=sites))
    except NoReportError as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(1) from None
    typer.echo(f"{out}: {written}")
