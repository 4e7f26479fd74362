"""The command `moretta transparency`: writes one sign, one page and one annex for each site and language."""

import hashlib
import io
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Annotated, Any

import segno
import typer
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from operate.transparency.annex import annex
from operate.transparency.document import Document
from operate.transparency.examples import is_example
from operate.transparency.notice import page, sign
from operate.transparency.place import SiteNotice
from operate.transparency.settings import ReceiverOutline, TransparencyFile, TransparencySettings
from services.ingest.sources.address import kind_of
from services.kernel.settings import Problem, SettingsError, load
from services.kernel.settings.explain import shown
from services.notify.languages import languages, words_in
from services.notify.texts.words import Words
from services.sites.settings import SiteSettings, local_zone

_COMMAND = "moretta transparency"
_CATALOGUES: Traversable = files("operate.transparency") / "locale"
_JINJA = Environment(
    loader=PackageLoader("operate.transparency", "templates"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)


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
    digest = hashlib.sha256(file.read_bytes()).hexdigest()
    written, missing = [], dict[str, str]()
    for site in settings.sites:
        for language in wanted or languages(_CATALOGUES):
            words = in_language(language)
            for kind, document in _documents(settings, site, words, _made(words, site, now, digest)):
                path = out / f"{site.id}-{kind}.{language}.html"
                path.write_text(_render(document, kind, settings.transparency, words), encoding="utf-8")
                written.append(path)
                missing |= document.missing()
    return written, missing


def in_language(language: str) -> Words:
    """Return the words of a language for these documents."""
    catalogues: Any = _CATALOGUES  # a folder's path, which is hashable, though its type does not say so
    return words_in(language, catalogues)


def _check(out: Path, wanted: list[str]) -> None:
    known = languages(_CATALOGUES)
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
    settings: TransparencyFile, site: SiteSettings, words: Words, made: str
) -> Iterator[tuple[str, Document]]:
    place, operator = SiteNotice(site, words), settings.transparency
    receivers = [one for one in settings.notify.receivers if not one.sites or site.id in one.sites]
    yield "sign", sign(place, operator, made)
    makers: dict[str, Callable[[SiteNotice, TransparencySettings, list[ReceiverOutline], str], Document]]
    makers = {"notice": page, "dpia-annex": annex}
    for kind, make in makers.items():
        yield kind, make(place, operator, receivers, made)


def _made(words: Words, site: SiteSettings, now: datetime, digest: str) -> str:
    local = now.astimezone(local_zone(site))
    return words.gettext(
        "Made by Moretta on {day} from the settings with the SHA-256 {digest}.",
        day=words.day(local),
        digest=digest[:16],
    )


def _render(document: Document, kind: str, operator: TransparencySettings, words: Words) -> str:
    known = operator.page_url and not is_example(operator.page_url)
    url = operator.page_url if kind == "sign" and known else None
    code = Markup(_qr(url)) if url else ""  # noqa: S704 - segno draws it; the URL is in it as squares alone
    values = {"code": code, "url": url, "code_text": words.gettext("All about it:")}
    return _JINJA.get_template("document.html").render(document=document, kind=kind, **values)


def _qr(url: str) -> str:
    drawn = io.BytesIO()
    segno.make(url, micro=False).save(
        drawn, kind="svg", xmldecl=False, svgns=True, omitsize=True, border=2, light="#fff"
    )
    return drawn.getvalue().decode()


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
    from operate.transparency.write import write

    written, missing = write(config, out, language or [], datetime.now(UTC))
    for path in written:
        typer.echo(str(path))
    for gap, why in missing.items():
        typer.echo(f"{config}: {gap}: {why}; the documents show it as a gap", err=True)
    if missing:
        raise typer.Exit(1)
