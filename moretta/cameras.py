"""`moretta cameras`: find, show, add."""

from functools import partial
from pathlib import Path
from typing import Annotated

import typer

cameras = typer.Typer(no_args_is_help=True, help="Find cameras by ONVIF, show their streams, and add one.")
Host = Annotated[str, typer.Argument(metavar="HOST", help="HOST, HOST:PORT, or the address that `find` printed")]
User = Annotated[str | None, typer.Option(metavar="NAME", help="a user of the camera, for ONVIF and the stream")]
PasswordFile = Annotated[Path | None, typer.Option(metavar="FILE", help="the file with this user's password")]
LinkLocal = Annotated[
    bool, typer.Option("--allow-link-local", help="cameras with addresses such as 169.254.1.2, without DHCP")
]
CaFile = Annotated[str | None, typer.Option(metavar="FILE", help="for https: the camera's certificate, or its CA's")]
LongSide = Annotated[int, typer.Option(min=160, max=1920, metavar="PIXELS", help="`long_side` of the camera")]
Fps = Annotated[float, typer.Option(min=0.1, max=30, metavar="FPS", help="`fps` of the camera")]
Json = Annotated[bool, typer.Option("--json", help="print JSON")]


@cameras.command()
def find(
    wait: Annotated[float, typer.Option(min=0.5, max=60, metavar="S", help="how long answers are waited for")] = 4.0,
    source: Annotated[
        list[str] | None, typer.Option("--from", metavar="ADDRESS", help="of this machine; default: each that it has")
    ] = None,
    allow_link_local: LinkLocal = False,
    as_json: Json = False,
) -> None:
    """Ask this machine's networks which cameras are there (WS-Discovery). Exit code 1 if none answers.

    The question is multicast: it reaches no other network, and none from inside a container or a pod.
    """
    from operate.cameras import output, search
    from operate.output import progress
    from services.kernel.settings import SettingsError

    own = search.own_addresses()
    if wrong := [one for one in source or [] if one not in own]:
        why = f"{wrong[0]!r} is no address of this machine that can send multicast; it has {', '.join(own) or 'none'}"
        raise SettingsError("moretta cameras find", [("--from", why)])
    if not own:
        why = "this machine has no network with multicast; in a container or a pod, ask from the host instead"
        raise SettingsError("moretta cameras find", [("", why)])
    sources = sorted(set(source or own))
    with progress("asking for cameras", wait) as advance:
        found = search.search(sources, wait, advance, link_local=allow_link_local)
    output.found(found, sources, wait, as_json=as_json)
    if not found:
        raise typer.Exit(1)


@cameras.command("show")
def show_streams(
    host: Host,
    user: User = None,
    password_file: PasswordFile = None,
    long_side: LongSide = 640,
    fps: Fps = 5.0,
    ca_file: CaFile = None,
    allow_link_local: LinkLocal = False,
    as_json: Json = False,
) -> None:
    """Show a camera's streams: codec, size, rate; which one Moretta would take, and why. Exit code 1 if none.

    A stream's path is not printed: on some cameras it is the key.
    """
    from operate.cameras import asking, output
    from operate.cameras.core.video_streams import choose

    camera = asking.camera(host, user, password_file, ca_file, link_local=allow_link_local)
    seen = asking.seen(camera, host)
    choice = choose(seen.streams, long_side=long_side, fps=fps)
    output.streams(seen, choice, long_side=long_side, fps=fps, as_json=as_json)
    if choice is None:
        raise typer.Exit(1)


@cameras.command()
def add(
    host: Host,
    config: Annotated[Path, typer.Option("-c", "--config", metavar="FILE", help="the settings (YAML) to write into")],
    name: Annotated[str, typer.Option("--id", metavar="CAMERA", help="the camera's id in the settings")],
    site: Annotated[str | None, typer.Option(metavar="SITE", help="default: the only one in the file")] = None,
    zone: Annotated[str | None, typer.Option(metavar="ZONE", help="a zone of the site")] = None,
    stream: Annotated[
        str | None, typer.Option(metavar="TOKEN", help="the stream to take; default: the one that `show` names")
    ] = None,
    url_file: Annotated[
        Path | None, typer.Option(metavar="FILE", help="where its URL is written; default: CAMERA.url beside -c")
    ] = None,
    user: User = None,
    password_file: PasswordFile = None,
    long_side: LongSide = 640,
    fps: Fps = 5.0,
    ca_file: CaFile = None,
    allow_link_local: LinkLocal = False,
) -> None:
    """Write a camera's cheapest fitting stream into the settings, below the others of its site.

    Its URL, with the login, goes into a file of its own, which only the owner of the settings may
    read. A running service takes it at once.
    """
    from operate.cameras import adding, asking
    from operate.cameras.core.video_streams import in_words

    plan = partial(
        adding.planned, config, site, name, zone=zone, url_file=url_file, long_side=long_side, fps=fps,
        link_local=allow_link_local,
    )  # fmt: skip
    made = plan()  # a mistake is told before the camera is asked
    camera = asking.camera(host, user, password_file, ca_file, link_local=allow_link_local)
    seen = asking.seen(camera, host)
    choice = asking.chosen(seen, host, stream, long_side=long_side, fps=fps)
    url = camera.url_of(choice.token)
    if ca_file is not None and url.lower().startswith("rtsps:"):
        made = plan(ca_file=ca_file)
    adding.written(made, url)
    why = in_words(choice, long_side=long_side, fps=fps)
    typer.echo(f"{config}: camera {name} of {made.site}: stream {choice.token} of {seen.address.label}: {why}")
    typer.echo(f"{made.url_file}: its URL; `moretta doctor -c {config} --cameras` opens it")
