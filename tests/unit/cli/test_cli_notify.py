"""What the commands about notifications read and show, without a bus."""

import io
import time

import pytest
from messages import delivery
from msgspec import structs
from rich.console import Console

from operate.notify.silences import about, doubts, in_words, table, until_when
from operate.notify.status import DeadLetter, NotificationStatus, groups, tables
from operate.notify.test_message import example, send
from proto.notifications import NotificationV1, SilenceV1
from services.kernel.settings import SettingsError

NOW = time.time_ns()
HOUR = 3_600 * 10**9
NOON = 1_795_953_600 * 10**9
"""2026-11-29 12:00 UTC."""
HASHES = ["a" * 64, "b" * 64]
TOLD = NotificationV1(
    site="market", receiver="staff", notification="1" * 16, group="2" * 16, number=1, root="1" * 16, reason="first",
    firing=["3" * 16], recipients=HASHES, at=NOW,
)  # fmt: skip
SENT = delivery(
    site="market", zone="hall", rule="low", alert="3" * 16, notification="1" * 16, recipient_sha256=HASHES[0], at=NOW
)
SILENCE = SilenceV1(
    silence="0a1b2c3d", sites=["market"], rules=["low", "high"], starts=NOW, ends=NOW + HOUR, operator="ana", why="fair"
)


@pytest.mark.parametrize(("length", "hours"), [("60m", 1), ("2h", 2), ("1d", 24), ("1w", 168)])
def test_a_length_ends_so_much_later(length: str, hours: int):
    """Minutes, hours, days and weeks."""
    assert until_when(length, None, NOW) == NOW + hours * HOUR


def test_an_end_with_its_distance_to_utc_is_taken_as_it_is():
    """Without one it is by this machine's clock."""
    assert until_when(None, "2030-01-01T12:00+02:00", 1893488400 * 10**9 - HOUR) == 1893492000 * 10**9


@pytest.mark.parametrize(
    ("length", "until", "why"),
    [
        (None, None, "--for: or --until says when it ends"),
        ("2h", "2030-01-01T12:00", "--for: or --until"),
        ("soon", None, "'soon' is no length; write 30m, 2h or 1d"),
        ("0h", None, "must end after now"),
        ("9999d", None, "within a year"),
        (None, "tomorrow", "'tomorrow' is no time; write 2026"),
        (None, "2020-01-01T10:00", "must end after now"),
    ],
)
def test_what_is_no_end_is_refused_in_one_sentence(length: str | None, until: str | None, why: str):
    """One error that names the option, the value, and what would be right."""
    with pytest.raises(SettingsError) as caught:
        until_when(length, until, NOW)
    assert why in str(caught.value)
    assert len(str(caught.value).splitlines()) == 1


def test_a_group_stands_where_its_records_say():
    """Each recipient counts once, by the last attempt; who has no record is on its way; what is withheld is said."""
    later = structs.replace(SENT, recipient_sha256=HASHES[1], outcome="retrying", reason="temporary")
    [found] = groups([TOLD], [SENT, later])
    assert (found.about, found.firing, found.reason, found.sent, found.pending) == (["hall/low"], 1, "first", 1, 1)
    dead = structs.replace(later, attempt=2, outcome="dead")
    [found] = groups([TOLD], [SENT, later, dead])
    assert (found.sent, found.pending, found.dead, found.withheld) == (1, 0, 1, None)
    again = structs.replace(dead, attempt=3, outcome="replayed")
    muted = structs.replace(TOLD, notification="4" * 16, number=0, reason=None, withheld="muted", recipients=[])
    [found] = groups([TOLD, muted], [SENT, dead, again])
    assert (found.sent, found.pending, found.dead, found.withheld, found.reason) == (1, 1, 0, "muted", "first")
    [found] = groups([TOLD], [])
    assert (found.about, found.pending) == ([], 2)


def shown(*renderables: object, width: int = 250) -> str:
    """What people see."""
    out = io.StringIO()
    for one in renderables:
        Console(file=out, width=width).print(one)
    return out.getvalue()


def test_tables_show_trouble_only_where_there_is_some():
    """A quiet site is one table; dead letters come with the number that `replay` takes."""
    quiet = NotificationStatus(groups([TOLD], [SENT]), [], [])
    assert len(tables(quiet, {})) == 1
    assert "hall / low" in shown(*tables(quiet, {}))
    letter = DeadLetter(17, NOW, "market", "staff", "staff-aaaaaaaa by email: dead (connect)")
    assert "17" in shown(*tables(NotificationStatus([], [letter], []), {}))
    assert "nobody was told" in shown(*tables(NotificationStatus([], [], []), {}))


def test_a_terminal_of_80_letters_shows_every_word():
    """Names and numbers whole; what failed for the same reason is one line, with each number that `replay` takes."""
    told = structs.replace(TOLD, receiver="field-staff", reason="all-resolved")
    muted = structs.replace(told, notification="4" * 16, number=0, reason=None, withheld="silenced", recipients=[])
    sent = structs.replace(SENT, zone="north-gate", rule="mask-rate")
    why = "field-staff-aaaaaaaa by email: failed (recipient)"
    dead = [DeadLetter(number, NOW, "market", "field-staff", why) for number in (17, 18, 19)]
    seen = shown(*tables(NotificationStatus(groups([told, muted], [sent]), dead, []), {}), width=80)
    words = ["field-staff", "north-gate", "mask-rate", "all-resolved", "silenced"]
    for word in (*words, "1 sent", "1 pending", "17 18 19"):
        assert word in seen
    assert "…" not in seen


def test_the_times_of_a_status_are_those_of_its_site():
    """With the offset, of groups and dead letters: as the site's figures and mails have them."""
    told, letter = structs.replace(TOLD, at=NOON), DeadLetter(17, NOON, "market", "staff", "dead (connect)")
    seen = shown(*tables(NotificationStatus(groups([told], [SENT]), [letter], []), {"market": "Asia/Tokyo"}))
    assert seen.count("2026-11-29 21:00 +0900") == 2


def test_a_silence_says_what_it_is_about_and_who_set_it():
    """In a sentence, and in the table, where one that is over says so."""
    assert about(SILENCE) == "site market, rule low or high"
    assert in_words(SILENCE, {}, SILENCE.ends - 1).startswith("0a1b2c3d: site market, rule low or high until 20")
    assert in_words(SILENCE, {}, SILENCE.ends).startswith("0a1b2c3d: site market, rule low or high over since 20")
    assert about(structs.replace(SILENCE, sites=[], rules=[])) == "everything"
    assert "fair" in shown(table([SILENCE], {}))
    assert "(over)" in shown(table([structs.replace(SILENCE, ends=1)], {}))
    assert "no silence in force" in shown(table([], {}))


def test_a_silences_times_are_those_of_its_site(monkeypatch):
    """With the offset; of several time zones, or where nobody tells one, by the clock of the machine."""
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    try:
        noon = structs.replace(SILENCE, starts=NOON, ends=NOON + HOUR)
        apart = {"market": "Europe/Paris", "station": "Asia/Tokyo"}
        whole = structs.replace(noon, sites=[])
        for silence, zones, ends in (
            (noon, apart, "2026-11-29 14:00 +0100"),
            (whole, {"market": "Asia/Tokyo", "station": "Asia/Tokyo"}, "2026-11-29 22:00 +0900"),
            (whole, apart, "2026-11-29 13:00 +0000"),
            (noon, {}, "2026-11-29 13:00 +0000"),
        ):
            assert f"until {ends}, by ana" in in_words(silence, zones, NOON)
        seen = shown(table([noon], apart))
        assert all(one in seen for one in ("2026-11-29 13:00 +0100", "2026-11-29 14:00 +0100"))
    finally:
        monkeypatch.undo()
        time.tzset()


def test_a_name_that_was_never_published_is_doubted():
    """Perhaps misspelt; where nothing of its kind was published yet, nobody can tell."""
    names = {"site": {"market"}, "zone": {"hall", "_site"}, "rule": {"low"}, "receiver": set()}
    silence = structs.replace(SILENCE, zones=["hall", "halle"], receivers=["staff"])
    assert doubts(silence, names) == [
        "nothing published so far names zone 'halle'; published are: _site, hall",
        "nothing published so far names rule 'high'; published are: low",
    ]
    assert doubts(silence, {}) == []


def test_the_test_message_says_that_it_is_one():
    """Its reason, its rule and its profile do; no two are the same notification."""
    one, other = (example("staff", "market", NOW) for _ in "ab")
    assert (one.reason, one.firing[0].rule, one.firing[0].message.profile) == ("test", "test", "lab")
    assert one.id != other.id


def test_what_operators_write_is_shown_as_it_is():
    """Brackets are no orders to rich, nor do control characters reach the terminal."""
    screen = Console(width=160, file=io.StringIO())
    screen.print(table([structs.replace(SILENCE, why="see [/ops] and [bold]12\x1b[31m", operator="[ana]")], {}))
    assert "see [/ops] and [bold]12 [31m" in screen.file.getvalue()
    assert "[ana]" in screen.file.getvalue()
    assert "\x1b" not in screen.file.getvalue()


async def test_a_certificate_that_cannot_be_read_is_one_sentence(tmp_path):
    """As the service says it, and no traceback."""
    file = tmp_path / "moretta.yaml"
    smtp = "{sender: a@example.org, ca_file: /nowhere.pem}"
    file.write_text(f"notify: {{smtp: {smtp}, receivers: [{{id: staff, email: [anna@example.org]}}]}}")
    with pytest.raises(SettingsError, match=r"moretta.yaml: notify.smtp.ca_file: cannot use .*: No such file"):
        await send(file, "staff", None)


async def test_a_file_without_receivers_is_perhaps_the_wrong_one(tmp_path):
    """An operator's file has only the connection: the error says which file the command takes."""
    (file := tmp_path / "operator.yaml").write_text("nats: {user: operator}\n")
    with pytest.raises(SettingsError, match=r"there are: none; -c takes the settings of notify"):
        await send(file, "staff", None)


def test_a_digest_counts_for_the_groups_that_it_tells_of():
    """What it says is over fires nowhere, and what it tells is held back no more."""
    one, other = "4" * 16, "5" * 16
    first = structs.replace(TOLD, firing=[one], group="6" * 16)
    capped = structs.replace(TOLD, group="7" * 16, number=0, reason=None, withheld="capped", firing=[other])
    digest = structs.replace(TOLD, group="8" * 16, number=2, reason="digest", firing=[other], resolved=[one])
    assert [one.withheld for one in groups([first, capped], [])] == [None, "capped"]
    shown = {found.group[0]: (found.firing, found.withheld) for found in groups([first, capped, digest], [])}
    assert shown == {"6": (0, None), "7": (0, None), "8": (1, None)}
