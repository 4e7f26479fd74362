"""The command `moretta transparency`: writes one sign, one page and one annex for each site and language."""

import hashlib
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from operate.transparency.documents import KINDS, languages, render
from operate.transparency.facts import facts
from operate.transparency.operator_texts import gaps, operator_texts
from operate.transparency.settings import TransparencyFile
from services.ingest.sources.address import kind_of
from services.kernel.settings import Problem, SettingsError, load
from services.kernel.settings.explain import shown
from services.sites.settings import SiteSettings, local_zone

_COMMAND = "moretta transparency"


def write(file: Path, out: Path, wanted: list[str], now: datetime) -> tuple[list[Path], dict[str, str]]:
    """Write the documents of every site of the file into the folder `out`.

    Return the files, and the settings that the operator still has to fill in, each with what is wrong. SettingsError
    for a user's mistake.
    """
    settings = load(file, TransparencyFile)
    _check(out, wanted)
    if unfit := list(_unfit(settings)):
        raise SettingsError(file, unfit)
    out.mkdir(parents=True, exist_ok=True)
    digest = hashlib.sha256(file.read_bytes()).hexdigest()[:16]
    written, missing = list[Path](), dict[str, str]()
    for site in settings.sites:
        made = {"day": now.astimezone(local_zone(site)), "digest": digest}
        for language in wanted or languages():
            written += _documents(out, settings, site, language, made)
            missing |= gaps(operator_texts(settings.transparency, language))
    return written, missing


def _check(out: Path, wanted: list[str]) -> None:
    known = languages()
    if unknown := [language for language in wanted if language not in known]:
        raise SettingsError(_COMMAND, [("--language", f"no {unknown[0]!r}; there are {', '.join(known)}")])
    if out.exists() and not out.is_dir():
        raise SettingsError(_COMMAND, [("--out", f"{str(out)!r} is a file; name a folder")])


def _unfit(settings: TransparencyFile) -> Iterator[Problem]:
    """Yield sites without a camera, and cameras that are recordings: what the documents say would be untrue of them."""
    why = (
        "is a recorded film, which is kept, and the documents say that no picture is; leave it out here, and tell"
        " people of the film in your own words"
    )
    for i, site in enumerate(settings.sites):
        if not site.cameras:
            yield f"sites[{i}].cameras", f"is empty, so there is nothing to tell of {site.id!r}; name its cameras"
        for j, camera in enumerate(site.cameras):
            if kind_of(camera) == "file":
                yield f"sites[{i}].cameras[{j}].url", f"{shown(camera.url)} {why}"


def _documents(
    out: Path, settings: TransparencyFile, site: SiteSettings, language: str, made: dict[str, object]
) -> Iterator[Path]:
    receivers = [one for one in settings.notify.receivers if not one.sites or site.id in one.sites]
    variables = facts(site, settings.transparency, receivers, language) | made
    for kind in KINDS:
        path = out / f"{site.id}-{kind}.{language}.html"
        path.write_text(render(kind, language, variables), encoding="utf-8")
        yield path


transparency = typer.Typer()


@transparency.command("transparency")
def write_documents(
    config: Annotated[Path, typer.Option("-c", "--config", metavar="FILE", help="settings (YAML)")],
    out: Annotated[Path, typer.Option(metavar="FOLDER", help="where the documents are written")],
    language: Annotated[list[str] | None, typer.Option(metavar="LANGUAGE", help="such as fr; may be repeated")] = None,
) -> None:
    """Write the public notice of each site (a sign and a page) and an annex for its impact assessment, as HTML.

    Exit code 1 if something is missing, or still the example's, that only the operator knows: the documents show it
    as a gap. Exit code 2 for a camera that is a recorded film: it is kept, and the documents say that no picture is.
    """
    written, missing = write(config, out, language or [], datetime.now(UTC))
    for path in written:
        typer.echo(str(path))
    for gap, why in missing.items():
        typer.echo(f"{config}: {gap}: {why}; the documents show it as a gap", err=True)
    if missing:
        raise typer.Exit(1)
