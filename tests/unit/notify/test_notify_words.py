"""The words of each language: catalogues that are whole, numbers and times as CLDR writes them."""

from datetime import UTC, datetime, timedelta
from io import BytesIO
from pathlib import Path
from string import Formatter
from zoneinfo import ZoneInfo

import pytest
from babel.messages.catalog import Catalog, Message
from babel.messages.pofile import read_po

import services.notify
from services.notify.languages import CATALOGUES, SOURCE, languages, words_in
from services.notify.texts.words import LocalSpan
from words import messages

HERE = Path(services.notify.__file__).parent
TRANSLATED = [name for name in languages() if name != SOURCE]
EACH = pytest.mark.parametrize("language", TRANSLATED)
EN, FR = words_in("en"), words_in("fr")


def catalogue(language: str) -> Catalog:
    return read_po(BytesIO((HERE / "locale" / language / "LC_MESSAGES/moretta.po").read_bytes()))


def entries(language: str) -> list[Message]:
    return [message for message in catalogue(language) if message.id]


def forms(text: str | tuple[str, ...]) -> tuple[str, ...]:
    return (text,) if isinstance(text, str) else tuple(text)


def fields(text: str) -> set[str | None]:
    return {name for _, name, _, _ in Formatter().parse(text) if name is not None}


def test_the_languages_are_english_and_those_of_the_catalogues():
    """French at least has a catalogue; English has none."""
    assert "fr" in TRANSLATED
    assert languages() == ["en", *TRANSLATED]
    assert not (HERE / "locale" / SOURCE).exists()


@EACH
def test_a_catalogue_has_each_message_of_the_code_and_no_other(language: str):
    """`make words` was run: nothing is missing, unused, unsure or left over."""
    used = {forms(message.id)[0] for message in messages() if message.id}
    assert {forms(m.id)[0] for m in entries(language)} == used
    assert not [m.id for m in entries(language) if m.fuzzy]
    assert not catalogue(language).obsolete


@EACH
def test_each_message_is_translated_with_all_its_values_and_plurals(language: str):
    """An empty form would show English, a lost field would lose a figure, a strange one would raise."""
    plurals = catalogue(language).num_plurals
    for message in entries(language):
        translations, originals = forms(message.string), forms(message.id)
        assert len(translations) == (plurals if message.pluralizable else 1), message.id
        assert all(translations), message.id
        for form in translations:
            assert fields(form) <= fields(originals[-1]), form
            assert fields(originals[-1]) - fields(form) <= {"count"}, form  # "one person" needs no figure


def test_english_is_what_the_code_says(tmp_path: Path):
    """It needs no catalogue. One is singular; none and several are plural."""
    english = words_in("en", tmp_path)
    said = [english.ngettext("{count} person", "{count} people", count) for count in (0, 1, 2, 12_345)]
    assert said == ["0 people", "1 person", "2 people", "12,345 people"]
    assert english.gettext("camera “{name}”", name="gate") == "camera “gate”"
    assert (english.language, str(english.locale), languages(tmp_path)) == ("en", "en_GB", ["en"])


def test_a_language_is_added_by_adding_a_catalogue(tmp_path: Path):
    """No code: a folder with a catalogue, whose header names plural forms and whose numbers to use."""
    folder = tmp_path / "pl" / "LC_MESSAGES"
    folder.mkdir(parents=True)
    (folder / "moretta.po").write_text(
        'msgid ""\nmsgstr ""\n"Language: pl\\n"\n"Content-Type: text/plain; charset=utf-8\\n"\n'
        '"Plural-Forms: nplurals=3; plural=(n==1 ? 0 : n%10>=2 && n%10<=4 && (n%100<12 || n%100>14) ? 1 : 2);\\n"\n\n'
        'msgid "{count} person"\nmsgid_plural "{count} people"\n'
        'msgstr[0] "{count} osoba"\nmsgstr[1] "{count} osoby"\nmsgstr[2] "{count} osób"\n'
    )
    polish = words_in("pl", tmp_path)
    said = [polish.ngettext("{count} person", "{count} people", count) for count in (1, 2, 5, 12_345)]
    assert said == ["1 osoba", "2 osoby", "5 osób", "12\N{NO-BREAK SPACE}345 osób"]
    assert polish.gettext("not translated yet") == "not translated yet"
    assert languages(tmp_path) == ["en", "pl"]


def test_an_unknown_language_is_named():
    """Not silently English."""
    with pytest.raises(LookupError, match=r"no catalogue of 'xx'; there are .*en, fr"):
        words_in("xx", CATALOGUES)


def test_numbers_are_written_as_each_language_has_them():
    """Comma and spaces of French: no line breaks inside a figure."""
    assert (EN.percent(0.625), EN.percent(0.625, 1), EN.number(12_345)) == ("62%", "62.5%", "12,345")
    assert (FR.percent(0.62), FR.percent(0.625, 1)) == ("62\N{NO-BREAK SPACE}%", "62,5\N{NO-BREAK SPACE}%")
    assert FR.number(12_345) == "12\N{NARROW NO-BREAK SPACE}345"


@pytest.mark.parametrize(("share", "expected"), [(0.7, "70%"), (0.725, "72.5%"), (1.0, "100%"), (0.0, "0%")])
def test_a_threshold_is_said_as_it_was_set(share: float, expected: str):
    """No trailing zeros, no lost half per cent."""
    assert EN.exact(share) == expected


@pytest.mark.parametrize(
    ("share", "threshold", "expected"),
    [(0.62, 0.7, "62%"), (0.696, 0.7, "69.6%"), (0.6996, 0.7, "69.96%"), (0.7, 0.7, "70%"), (0.0, 0.7, "0%")],
)
def test_a_rate_is_never_rounded_onto_its_threshold(share: float, threshold: float, expected: str):
    """ "70%, below 70%" would make a reader doubt the rest."""
    assert EN.beside(share, threshold) == expected


@pytest.mark.parametrize(
    ("share", "expected"),
    [(1.0, "100%"), (0.0996, "10%"), (0.0994, "9.9%"), (0.016, "1.6%"), (0.0004, "less than 0.1%"), (0.0, "0%")],
)
def test_a_little_that_was_observed_is_more_than_nothing(share: float, expected: str):
    """A film of ten minutes is 0.7 % of a day."""
    assert EN.observed(share) == expected


def test_the_first_of_a_month_is_an_ordinal_in_french():
    """CLDR has no pattern for it: it would be "1 décembre", which nobody writes."""
    first, second = (datetime(2026, 12, day, tzinfo=UTC) for day in (1, 2))
    assert (FR.day(first), FR.day(second)) == ("mardi 1er décembre 2026", "mercredi 2 décembre 2026")
    assert EN.day(first) == "Tuesday, 1 December 2026"


def test_a_list_is_joined_as_each_language_does():
    """With its own "and"."""
    assert EN.listed(["a", "b", "c"]) == "a, b and c"
    assert FR.listed(["a", "b", "c"]) == "a, b et c"


@pytest.mark.parametrize(
    ("start", "zone", "english", "french"),
    [
        (
            (7, 1, 8, 0), "Europe/Paris",
            "Wednesday, 1 July 2026, 10:00 to 10:20 (Europe/Paris, UTC+02:00)",
            "mercredi 1er juillet 2026, de 10:00 à 10:20 (Europe/Paris, UTC+02:00)",
        ),
        (
            (7, 1, 8, 0), "UTC",
            "Wednesday, 1 July 2026, 08:00 to 08:20 (UTC)",
            "mercredi 1er juillet 2026, de 08:00 à 08:20 (UTC)",
        ),
        (
            (7, 1, 21, 40), "Europe/Paris",
            "Wednesday, 1 July 2026, 23:40 to 00:00 (Europe/Paris, UTC+02:00)",
            "mercredi 1er juillet 2026, de 23:40 à 00:00 (Europe/Paris, UTC+02:00)",
        ),
        (
            (7, 1, 21, 50), "Europe/Paris",
            "Wednesday, 1 July 2026, 23:50 to Thursday, 2 July 2026, 00:10 (Europe/Paris, UTC+02:00)",
            "du mercredi 1er juillet 2026, 23:50, au jeudi 2 juillet 2026, 00:10 (Europe/Paris, UTC+02:00)",
        ),
        (
            (10, 25, 0, 50), "Europe/Paris",
            "Sunday, 25 October 2026, 02:50 UTC+02:00 to 02:10 UTC+01:00 (Europe/Paris)",
            "dimanche 25 octobre 2026, de 02:50 UTC+02:00 à 02:10 UTC+01:00 (Europe/Paris)",
        ),
        (
            (7, 1, 8, 0), "Asia/Kolkata",
            "Wednesday, 1 July 2026, 13:30 to 13:50 (Asia/Kolkata, UTC+05:30)",
            "mercredi 1er juillet 2026, de 13:30 à 13:50 (Asia/Kolkata, UTC+05:30)",
        ),
    ],
)  # fmt: skip
def test_a_span_is_said_in_local_time_with_its_zone(start: tuple[int, ...], zone: str, english: str, french: str):
    """Summer, winter, midnight and the hour that comes twice are each unambiguous."""
    begin = datetime(2026, *start, tzinfo=UTC).astimezone(ZoneInfo(zone))
    end = (begin.astimezone(UTC) + timedelta(minutes=20)).astimezone(ZoneInfo(zone))
    assert (EN.span(LocalSpan(begin, end, zone)), FR.span(LocalSpan(begin, end, zone))) == (english, french)


def test_seconds_and_days_are_said_where_they_matter():
    """A lab's window of ten seconds is not "10:00 to 10:00", and yesterday's 09:40 is not today's."""
    moment = datetime(2026, 1, 1, 10, 0, 10, tzinfo=UTC)
    assert EN.time(moment) == "10:00:10"
    assert FR.moment(moment, moment + timedelta(days=1)) == "jeudi 1er janvier 2026 à 10:00:10"
    assert FR.moment(moment, moment) == "10:00:10"
