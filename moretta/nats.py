"""`moretta nats`: makes nats-server's configuration, everybody's keys and the streams, from one file."""

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from services.kernel.settings import SettingsError

if TYPE_CHECKING:
    from rich.console import Console

app = typer.Typer(help="Configure nats-server: who comes in, with which key, and what it keeps.", no_args_is_help=True)
Folder = Annotated[Path, typer.Argument(metavar="DIR", help="the folder of keys and configuration")]
Who = Annotated[str, typer.Argument(metavar="IDENTITY", help="whose, or all")]


@app.command()
def apply(
    folder: Folder,
    file: Annotated[
        Path | None, typer.Option("-f", "--file", metavar="FILE", help="what it is to be; else DIR/nats.yaml")
    ] = None,
    plan: Annotated[bool, typer.Option("--plan", help="do nothing; tell what would change")] = False,
) -> None:
    """Bring a folder to what nats.yaml says: keys that are there stay, who is new gets one, who is gone loses it.

    Without a file it is a server on this machine alone; where one was applied before, what it said. Again does no harm.
    """
    from operate.identities.folder import INPUT
    from operate.nats.apply import apply as run
    from operate.nats.nats_yaml import load
    from operate.nats.next_steps import applied_steps
    from operate.nats.output import show

    if file is None and (folder / INPUT).exists():
        file = folder / INPUT
    console = _console()
    done = run(folder, load(file) if file else None, plan=plan)
    for line in done.changes or ["nothing changes"]:
        console.print(line, soft_wrap=True, highlight=False, markup=False)
    if plan or done.kept is None:
        return
    show(done.kept, console)
    _next(console, applied_steps(done.kept, done))


@app.command()
def rotate(folder: Folder, who: Who) -> None:
    """Give an identity a new key beside the old one; both are in force until `retire`."""
    from operate.nats.apply import rotate as run
    from operate.nats.next_steps import renewed_steps
    from operate.nats.output import show

    show(kept := run(folder, who), console := _console())
    _next(console, renewed_steps(kept, "rotate", who))


@app.command()
def retire(folder: Folder, who: Who) -> None:
    """End an identity's old key."""
    from operate.nats.apply import retire as run
    from operate.nats.next_steps import renewed_steps
    from operate.nats.output import show

    show(kept := run(folder, who), console := _console())
    _next(console, renewed_steps(kept, "retire", who))


@app.command()
def replace(folder: Folder, who: Who) -> None:
    """Give an identity a new key in place of a stolen one, and say which step shuts the thief out."""
    from operate.nats.apply import replace as run
    from operate.nats.next_steps import renewed_steps
    from operate.nats.output import show

    show(kept := run(folder, who), console := _console())
    _next(console, renewed_steps(kept, "replace", who))


@app.command("show")
def shown(
    folder: Annotated[Path | None, typer.Argument(metavar="DIR", help="the folder of keys and configuration")] = None,
    rights: Annotated[bool, typer.Option("--rights", help="who may publish and subscribe what; needs no DIR")] = False,
) -> None:
    """Show what a folder has, for whom, and which keys are in force."""
    from operate.nats import output as tables
    from operate.nats.apply import opened

    console = _console()
    if folder is None and not rights:
        raise SettingsError("moretta nats show", [("DIR", "is missing; name the folder, or give --rights")])
    if folder is not None:
        tables.show(opened(folder), console)
    if rights:
        tables.rights(console)


@app.command()
def streams(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="a site's or a hub's folder of `moretta nats apply`")],
    config: Annotated[Path | None, typer.Option("-c", "--config", metavar="FILE", help="settings (YAML)")] = None,
    replicas: Annotated[
        int | None, typer.Option(min=1, max=5, help="copies of each stream; 3 on a cluster; else as many as there are")
    ] = None,
    plan: Annotated[bool, typer.Option("--plan", help="do nothing; tell what would be done")] = False,
    shrink: Annotated[
        bool, typer.Option("--shrink", help="also take away what this version does not need; may lose messages")
    ] = False,
    end: Annotated[
        str | None,
        typer.Option(
            "--end-consumers", metavar="NAME", help="only remove all consumers of this reader: its key was stolen"
        ),
    ] = None,
) -> None:
    """Make the streams of a site, those that a hub copies from it, or a hub's own; again does no harm.

    What is there is only ever extended, unless --shrink says otherwise. The server is the one that the folder names;
    with -c FILE that of its `nats.url`, if there is one. TLS needs the files that -c names.
    """
    from operate.nats.streams import How, end_consumers, make
    from operate.orders import OperatorFile
    from operate.settings_file import elsewhere
    from services.bus import NatsSettings
    from services.kernel.settings import load

    base = load(config, OperatorFile).nats if config else NatsSettings()
    is_elsewhere = config is not None and elsewhere(config) is not None
    work = (
        make(folder, base, How(replicas, plan, shrink), elsewhere=is_elsewhere)
        if end is None
        else end_consumers(folder, base, end, elsewhere=is_elsewhere)
    )
    for line in asyncio.run(work):
        typer.echo(line)


@app.command()
def secrets(
    release: Annotated[str, typer.Option(metavar="NAME", help="the Helm release")],
    url: Annotated[str, typer.Option(metavar="URL", help="the server's, for the settings files of people")],
    reader: Annotated[list[str] | None, typer.Option(metavar="NAME", help="a reader of its own; repeatable")] = None,
) -> None:
    """Make the Secrets of a release's identities in a pod of its namespace, as the chart's hook does.

    What is there stays; exit code 1 if Kubernetes' API refuses.
    """
    from operate.identities.cluster_secrets import WantedRelease
    from operate.nats import in_cluster

    try:
        for line in in_cluster.make(in_cluster.Api.of_pod(), WantedRelease(release, url, tuple(reader or ()))):
            typer.echo(line)
    except in_cluster.ApiError as error:
        typer.echo(f"moretta nats secrets: {error}", err=True)
        raise typer.Exit(1) from None


def _console() -> "Console":
    from rich.console import Console

    return Console()


def _next(console: "Console", steps: list[str]) -> None:
    for step in steps:
        console.print(f"next: {step}", soft_wrap=True, highlight=False, markup=False)
