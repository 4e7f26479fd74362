"""Each reason for a gap has its texts in one table, in every language, and no other file lists the reasons."""

import re
from pathlib import Path
from typing import get_args

import pytest

from gaps_table import with_table
from proto.public import GapReason
from services.notify.languages import languages
from services.statistics.gap_reasons import GAP_REASONS, gap_mail, gap_short, page_gaps

ROOT = Path(__file__).parents[3]
REASONS = get_args(GapReason)
LISTS = {"proto/public.py", "services/statistics/gap_reasons.py"}
TEXTS = {".py", ".js", ".json", ".po", ".html", ".txt"}
PRODUCT = ("proto", "services", "operate", "testbed", "moretta")


def test_each_reason_has_a_row_in_every_language():
    """In the contract's order, each text of its own; mails and the page have no language besides."""
    assert tuple(GAP_REASONS) == REASONS
    for language in languages():
        for say in (gap_short, gap_mail):
            assert len({say(reason, language) for reason in REASONS}) == len(REASONS)
    for texts in GAP_REASONS.values():
        assert list(texts.short) == list(texts.mail) == languages()
    assert {one: set(texts) for one, texts in page_gaps().items()} == {one: {*REASONS, "film"} for one in languages()}


def test_a_language_without_texts_has_the_english_ones():
    """As with any message that a catalogue lacks."""
    assert gap_short("paused", "it") == "counting was paused"
    assert gap_mail("paused", "it") == gap_mail("paused", "en")


@pytest.mark.parametrize("language", languages())
def test_a_film_that_is_over_is_a_camera_that_is_down(language: str):
    """Where cameras may be films; no other reason has other words there."""
    differing = [one for one in REASONS if gap_short(one, language, has_films=True) != gap_short(one, language)]
    assert differing == ["camera-down"]


def test_no_other_file_lists_the_reasons():
    """A file that names nearly all of them is a second list. Services name single ones where they decide."""
    name = re.compile(rf"(?<![\w-])({'|'.join(REASONS)})(?![\w-])")
    files = [file for folder in PRODUCT for file in (ROOT / folder).rglob("*") if file.suffix in TEXTS]
    named = {file.relative_to(ROOT).as_posix(): set(name.findall(file.read_text("utf-8"))) for file in files}
    assert {path for path, reasons in named.items() if len(reasons) > len(REASONS) - 3} == LISTS


def test_the_documents_table_is_the_table():
    """Written by `make contracts`."""
    document = (ROOT / "docs/messages.md").read_text("utf-8")
    assert with_table(document) == document
    assert with_table(document.replace("| `paused` |", "| `gone` |")) == document
