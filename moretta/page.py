"""The command `moretta page`: the link that opens the page of a box."""

import asyncio
from pathlib import Path
from typing import Annotated

import typer

page = typer.Typer()
_COMMAND = "moretta page"


@page.command("page")
def show_page(
    data: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="of `moretta up --data DIR`; default: of this user's `moretta up`"),
    ] = None,
    new_link: Annotated[
        bool, typer.Option("--new-link", help="end every link given out so far, for everybody, and show a new one")
    ] = False,
) -> None:
    """Show the link, as a QR code, too, by which other machines of this network see the numbers.

    With --new-link, browsers that have an earlier link are cut off.
    """
    from operate.box.data_folder import is_held, usual_box
    from operate.box.page_key import confirm, make_key
    from operate.box.page_link import found
    from services.kernel.settings import SettingsError

    folder = data or usual_box(_COMMAND)
    link, seed = found(folder)
    runs = is_held(folder)
    if new_link and not link.asks_key:
        why = "there is no link to end: the page of this `moretta up` asks for no key, and is for this machine alone"
        raise SettingsError(_COMMAND, [("--new-link", why)])
    if new_link:
        seed = make_key(folder)
        if runs:
            asyncio.run(confirm(folder))
    typer.echo(link.in_words(seed))
    if not runs:
        typer.echo("`moretta up` does not run there at the moment: the page is there once it does", err=True)
