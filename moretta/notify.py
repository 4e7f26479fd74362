"""The commands about notifications and silences."""

import asyncio
import time
from pathlib import Path
from typing import Annotated, Any

import typer

from moretta.operating import Because, OperatorConfig, Who

notify = typer.Typer(help="Run the service that tells people about alerts, or look after it.")
silence = typer.Typer(help="Have alerts not told for a while; they are measured and published all the same.")
Several = Annotated[list[str] | None, typer.Option(metavar="ID", help="may be repeated; without it any")]
AsJson = Annotated[bool, typer.Option("--json", help="print JSON")]


@notify.callback(invoke_without_command=True)
def service(
    context: typer.Context,
    config: Annotated[Path | None, typer.Option("-c", "--config", metavar="FILE", help="settings (YAML)")] = None,
) -> None:
    """Without a command: run the service that tells people about alerts."""
    from moretta.service import service as run_service
    from services.kernel.settings import SettingsError

    if context.invoked_subcommand is not None:
        if config is not None:
            why = f"comes behind the command: moretta notify {context.invoked_subcommand} ... -c FILE"
            raise SettingsError("moretta notify", [("-c", why)])
        return
    if config is None:
        raise SettingsError("moretta notify", [("-c", "is missing; it names the settings file")])
    raise typer.Exit(run_service("notify", ["-c", str(config)]))


@notify.command()
def status(
    config: OperatorConfig,
    site: Annotated[str | None, typer.Argument(metavar="[SITE]", help="one site; without it all")] = None,
    hours: Annotated[float, typer.Option(min=0.1, max=9_600, metavar="H", help="how far back to look")] = 24.0,
    as_json: AsJson = False,
) -> None:
    """Show who was told of what, what is withheld and why, what is on its way, and what failed. No address."""
    from rich.console import Console

    from operate.notify.status import as_json as encoded
    from operate.notify.status import ask, tables

    found, zones = asyncio.run(ask(config, site, hours))
    if as_json:
        print(encoded(found))
        return
    for table in tables(found, zones):
        Console().print(table)


@notify.command("test")
def send_test(
    receiver: Annotated[str, typer.Argument(metavar="RECEIVER")],
    config: Annotated[Path, typer.Option("-c", "--config", metavar="FILE", help="the settings of notify (YAML)")],
    site: Annotated[str | None, typer.Option(metavar="ID", help="the site it is about; default: the first")] = None,
) -> None:
    """Send everyone of a receiver a message that says it is a test, by every channel, from here; NATS isn't needed.

    Run it where notify's secrets are. Exit code 1 if anyone could not be told.
    """
    from operate.notify.test_message import send

    lines, good = asyncio.run(send(config, receiver, site))
    for line in lines:
        typer.echo(line)
    if not good:
        raise typer.Exit(1)


@notify.command()
def preview(
    config: Annotated[Path, typer.Option("-c", "--config", metavar="FILE", help="the settings of notify (YAML)")],
    out: Annotated[Path, typer.Option(metavar="DIR", help="where they are written")] = Path("preview"),
    site: Annotated[str | None, typer.Option(metavar="ID", help="the site it is about; default: the first")] = None,
) -> None:
    """Write what each receiver would get: an alert, its end, the daily report, of a made-up day. It sends nothing.

    Mails are pages that a browser opens, SMS are text files. It needs neither NATS nor a mail server, nor their keys.
    """
    from operate.notify.preview import write

    for path in asyncio.run(write(config, out, site)):
        typer.echo(path)


@notify.command()
def replay(
    dead: Annotated[int, typer.Argument(metavar="DEAD-ID", min=1, help="as `moretta notify status` shows it")],
    config: OperatorConfig,
    operator: Who = None,
    why: Because = "",
) -> None:
    """Have a notification that is a dead letter tried again, for those of its recipients who could not be told."""
    from operate.notify.test_message import replay as run_replay
    from operate.orders import operator_name

    reply = asyncio.run(run_replay(config, dead, operator=operator or operator_name(), why=why))
    people = "1 recipient is" if reply.recipients == 1 else f"{reply.recipients} recipients are"
    nobody = "nobody is left to be told of it; all were, or it is on its way already"
    typer.echo(f"{reply.site}: {f'{people} tried again' if reply.recipients else nobody}")


@silence.command()
def add(
    config: OperatorConfig,
    site: Several = None,
    zone: Several = None,
    rule: Several = None,
    receiver: Several = None,
    length: Annotated[str | None, typer.Option("--for", metavar="2h", help="so long: 30m, 2h, 1d")] = None,
    until: Annotated[
        str | None, typer.Option(metavar="WHEN", help="until then: 2026-11-24T18:00, by this machine's clock")
    ] = None,
    why: Because = "",
    operator: Who = None,
) -> None:
    """Have matching alerts not told from now on, for a while. Whoever sets it, and why, is kept."""
    from operate.notify.silences import Match, in_words
    from operate.notify.silences import add as run_add
    from operate.orders import operator_name

    match = Match(site or [], zone or [], rule or [], receiver or [])
    who = operator or operator_name()
    made, doubts, zones = asyncio.run(run_add(config, match, (length, until), operator=who, why=why))
    _print(in_words(made, zones, time.time_ns()), doubts)


@silence.command("list")
def list_silences(
    config: OperatorConfig,
    every: Annotated[bool, typer.Option("--all", help="those that are over, too")] = False,
    as_json: AsJson = False,
) -> None:
    """Show the silences in force."""
    from rich.console import Console

    from operate.notify.silences import encoded, read, table

    found, zones = asyncio.run(read(config, every=every))
    shown: Any = encoded(found) if as_json else table(found, zones)
    print(shown) if as_json else Console().print(shown)


@silence.command()
def expire(
    name: Annotated[str, typer.Argument(metavar="SILENCE-ID")],
    config: OperatorConfig,
    why: Because = "",
    operator: Who = None,
) -> None:
    """End a silence now."""
    from operate.notify.silences import expire as run_expire
    from operate.notify.silences import in_words
    from operate.orders import operator_name

    ended, doubts, zones = asyncio.run(run_expire(config, name, operator=operator or operator_name(), why=why))
    _print(in_words(ended, zones, time.time_ns()), doubts)


def _print(what: str, doubts: list[str]) -> None:
    typer.echo(what)
    for doubt in doubts:
        typer.echo(f"moretta silence: warning: {doubt}", err=True)
