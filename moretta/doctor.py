"""The command `moretta doctor`."""

import asyncio
import json
from pathlib import Path
from typing import Annotated

import typer

doctor = typer.Typer()
_WIDTH = 160
Config = Annotated[
    Path | None,
    typer.Option(
        "-c",
        "--config",
        metavar="FILE",
        envvar="MORETTA_CONFIG",
        show_default="of this user's `moretta up`",
        help="the deployment's settings (YAML), and where NATS is",
    ),
]


@doctor.command("doctor")
def examine(
    config: Config = None,
    data: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="the folder of a running `moretta up`: its NATS, as operator"),
    ] = None,
    cameras: Annotated[bool, typer.Option("--cameras", help="open each camera's stream and read one packet")] = False,
    store: Annotated[
        Path | None, typer.Option(metavar="DIR", help="where nats-server stores, if that is on this machine")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="print JSON")] = False,
    round_trip: Annotated[
        str | None,
        typer.Option(metavar="SITE", help="show a known film as that site's camera, and wait for its people's number"),
    ] = None,
    listen: Annotated[str, typer.Option(metavar="HOST:PORT", help="where that camera is")] = "127.0.0.1:8090",
    limit: Annotated[float, typer.Option(metavar="S", min=1, help="how long the round trip may take")] = 300.0,
    metrics: Annotated[
        str | None,
        typer.Option(
            metavar="URL",
            help="aggregate's metrics, for what each camera saw yesterday: who stays, and how large faces were; in a"
            " round trip ingest's",
        ),
    ] = None,
) -> None:
    """Check a deployment from inside, with the secrets that are here, and print what to do.

    Nothing is changed and nobody is told anything. Exit code 1 if something fails.
    """
    from rich.console import Console

    from operate.box.data_folder import settings_of, usual_box
    from operate.doctor.core.findings import exit_code, figures
    from operate.doctor.deployment import Deployment
    from operate.doctor.table import findings_table
    from services.kernel.log import LogSettings, configure

    configure("doctor", LogSettings(level="error"))  # what went wrong is in the table
    if config is None:
        data = data or usual_box("moretta doctor")
        config = settings_of(data)
    deployment = Deployment.read(config, data)
    if round_trip is None:
        from operate.doctor.doctor import DoctorOptions, examined

        found = asyncio.run(examined(deployment, DoctorOptions(cameras, store or deployment.store, metrics)))
    else:
        from operate import output
        from testbed.round_trip import round_trip as trip

        with output.stages() as on_step:
            found = asyncio.run(
                trip.round_trip(deployment, trip.RoundTripOptions(round_trip, listen, limit, metrics), on_step)
            )
    if as_json:
        print(json.dumps(figures(found)))
    else:
        console = Console()
        wide = console if console.is_terminal else Console(width=_WIDTH)  # a pod's log has no width
        wide.print(findings_table(found, f"moretta doctor, {config}"))
    raise typer.Exit(exit_code(found))
