"""`moretta transparency` as a user runs it, and its documents as their readers see them."""

import re
import subprocess
from pathlib import Path

import browser
import pytest
from command_line import moretta

SETTINGS = """
sites:
  - id: forville
    name: Marché Forville
    timezone: Europe/Paris
    profile: {profile}
    rests: [{{start: "20:00", end: "07:00", days: [mon, tue]}}]
    zones: [{{id: gate, name: Entrée nord}}, {{id: hall, name: Halle aux poissons}}]
    cameras:
      - {{id: gate-1, zone: gate, url: "rtsp://10.0.0.5/s"}}
      - {{id: hall-1, zone: hall, url: "whip://", token_file: /nowhere/token}}
    rules: [{{id: low, fire_below: 0.7, clear_above: 0.75}}]
notify: {{receivers: [{{id: staff, email: [a@example.org], language: fr}}]}}
"""
OPERATOR = """
transparency:
  controller: "Ville de Cannes, 06400 Cannes"
  contact: "mairie@cannes.test"
  officer: "dpo@cannes.test"
  legal_basis: {en: "A task in the public interest.", fr: "Une mission d’intérêt public."}
  objection: {en: "Use the south gate: there is no camera.", fr: "Passez par l’entrée sud : il n’y a pas de caméra."}
  authority: "CNIL, www.cnil.fr"
  transfers: "–"
  page_url: "https://www.cannes.test/moretta"
"""


def transparency(file: Path, out: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return moretta("transparency", "-c", file, "--out", out, *arguments)


@pytest.fixture(name="file")
def _file(tmp_path: Path) -> Path:
    path = tmp_path / "site.yaml"
    path.write_text(SETTINGS.format(profile="alerting") + OPERATOR)
    return path


def test_it_prints_the_files_and_what_is_missing(file: Path, tmp_path: Path):
    """Exit code 0 when the documents are whole, 1 when they have gaps, 2 for a mistake, and then nothing is written."""
    run = transparency(file, tmp_path / "out")
    assert (run.returncode, run.stderr) == (0, "")
    assert sorted(map(Path, run.stdout.split())) == sorted((tmp_path / "out").iterdir())
    file.write_text(SETTINGS.format(profile="alerting"))
    run = transparency(file, tmp_path / "out", "--language", "fr")
    assert run.returncode == 1
    assert len(run.stdout.split()) == 3
    assert f"{file}: transparency.objection: is missing; the documents show it as a gap" in run.stderr.splitlines()
    file.write_text(
        SETTINGS.format(profile="alerting") + OPERATOR.replace("mairie@cannes.test", "who answers questions")
    )
    run = transparency(file, tmp_path / "out")
    why = "is still the example's, 'who answers questions'; the documents show it as a gap"
    assert (run.returncode, run.stderr) == (1, f"{file}: transparency.contact: {why}\n")
    file.write_text(SETTINGS.format(profile="alerting") + "transparency: {controler: x}\n")
    run = transparency(file, tmp_path / "never")
    assert (run.returncode, run.stdout) == (2, "")
    assert run.stderr.startswith(f"{file}: transparency.controler: unknown key; known here are controller, contact")
    assert not (tmp_path / "never").exists()


async def test_documents_are_readable_by_everybody(file: Path, tmp_path: Path):
    """WCAG 2.2 AA in light and dark, no page wider than a phone, nothing fetched, the sign on one sheet of paper."""
    browser.require()
    assert transparency(file, tmp_path / "out").returncode == 0
    async with browser.chromium(tmp_path / "profile") as context:
        watched = browser.Watched(context.pages[0])
        page = watched.page
        for scheme in ("light", "dark"):
            await page.emulate_media(color_scheme=scheme)
            for path in sorted((tmp_path / "out").glob("*.html")):
                await page.set_viewport_size({"width": 320, "height": 700})
                await page.goto(path.as_uri())
                assert await page.evaluate("document.documentElement.scrollWidth") == 320, path
                await browser.accessible(page)
            assert watched.complaints == []
            assert {url for _, url in watched.requests} == {p.as_uri() for p in (tmp_path / "out").glob("*.html")}
        file.write_text(re.sub(r"    rules: .*\n", "", SETTINGS).format(profile="stats-only") + OPERATOR)
        assert transparency(file, tmp_path / "longest").returncode == 0  # it tells what is withheld, too
        for sign in sorted(tmp_path.glob("*/*-sign.*.html")):
            await page.goto(sign.as_uri())
            printed = await page.pdf(prefer_css_page_size=True)
            assert len(re.findall(rb"/Type\s*/Page\b", printed)) == 1, sign


def test_a_trial_is_no_notice(file: Path, tmp_path: Path):
    """Each document of the profile lab says so at its top."""
    file.write_text(SETTINGS.format(profile="lab") + OPERATOR)
    transparency(file, tmp_path / "out")
    for path in (tmp_path / "out").iterdir():
        assert '<p class="banner">' in path.read_text()
