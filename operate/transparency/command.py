"""The command `moretta transparency`."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

transparency = typer.Typer()


@transparency.command("transparency")
def write_documents(
    config: Annotated[Path, typer.Option("-c", "--config", metavar="FILE", help="settings (YAML)")],
    out: Annotated[Path, typer.Option(metavar="FOLDER", help="where the documents are written")],
    language: Annotated[list[str] | None, typer.Option(metavar="LANGUAGE", help="such as fr; may be repeated")] = None,
) -> None:
    """Write the public notice of each site (a sign and a page) and an annex for its impact assessment, as HTML.

    Exit code 1 if something is missing that only the operator knows: the documents show it as a gap.
    """
    from operate.transparency.write import write

    written, missing = write(config, out, language or [], datetime.now(UTC))
    for path in written:
        typer.echo(str(path))
    for gap in missing:
        typer.echo(f"{config}: {gap}: is missing; the documents show it as a gap", err=True)
    if missing:
        raise typer.Exit(1)
