"""The command `moretta doctor`."""

import asyncio
import json
from pathlib import Path
from typing import Annotated

import typer

doctor = typer.Typer()
Config = Annotated[
    Path, typer.Option("-c", "--config", metavar="FILE", help="the deployment's settings (YAML), and where NATS is")
]


@doctor.command("doctor")
def examine(
    config: Config,
    cameras: Annotated[bool, typer.Option("--cameras", help="open each camera's stream and read one packet")] = False,
    store: Annotated[
        Path | None, typer.Option(metavar="DIR", help="where nats-server stores, if that is on this machine")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="print JSON")] = False,
) -> None:
    """Check a deployment from inside, with the secrets that are here, and print what to do.

    Nothing is changed and nobody is told anything. Exit code 1 if something fails.
    """
    from rich.console import Console

    from services.cli.doctor.core.findings import exit_code, figures
    from services.cli.doctor.deployment import Deployment
    from services.cli.doctor.run import Options, examined
    from services.cli.doctor.table import table
    from services.log import LogSettings, configure

    configure("doctor", LogSettings(level="error"))  # what went wrong is in the table
    found = asyncio.run(examined(Deployment.read(config), Options(cameras, store)))
    if as_json:
        print(json.dumps(figures(found)))
    else:
        Console().print(table(found, f"moretta doctor, {config}"))
    raise typer.Exit(exit_code(found))
