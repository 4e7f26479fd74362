"""What follows from what was found: nothing is proven unless everything was searched, and the search can see."""

import json

import pytest

from testbed.proof.core.verdicts import Findings, LifetimeCounts, SearchedPlace, left_out
from testbed.proof.report import conclusion, page, size_text, table
from testbed.proof.search import PLACES, Search, canary_row
from testbed.proof.secret import FilmNeedles, Label

KEPT = LifetimeCounts({50.0: 99.0, 100.0: 100.0}, 100.0)


def place(**fields) -> SearchedPlace:
    fields = {"count": 3, "size": 1_200, "canary": True} | fields
    return SearchedPlace("files", "files in a folder", "files", **fields)


@pytest.mark.parametrize(
    ("fields", "verdict", "is_good"),
    [
        ({}, "nothing", True),
        ({"hits": {"a.bin": 1}}, "found", False),
        ({"hits": {"a.bin": 1}, "left_out": True}, "found", False),
        ({"canary": False}, "blind", False),
        ({"canary": False, "count": 0}, "blind", False),
        ({"missing": ["strace is missing"]}, "not searched", False),
        ({"missing": ["strace is missing"], "left_out": True}, "left out", True),
        ({"canary": None, "count": 0}, "not searched", False),
        ({"canary": None, "hits": {"ingest: packet": 4}, "allowed": 4}, "within bounds", True),
        ({"canary": None, "hits": {"ingest: packet": 5}, "allowed": 4}, "found", False),
    ],
)
def test_a_place_is_good_only_if_it_was_searched_by_a_search_that_sees(fields, verdict, is_good):
    """A finding goes before everything else: a user can't do without it."""
    found = place(**fields)
    assert (found.verdict, found.is_good) == (verdict, is_good)
    assert found.figures()["verdict"] == verdict


def test_a_finding_names_where():
    """The places with most hits first; others are counted."""
    found = place()
    for where, times in (("a", 1), ("b", 5), ("c", 2), ("d", 2)):
        found.hit(where, times)
    assert found.found == "10: b (5), c (2), d (2) and 1 more places"
    left_out([found], ["files"])
    assert found.left_out
    assert place(missing=["no root"]).found == "no root"


def test_the_lifetime_is_within_the_promise_or_not():
    """By the bounds of the buckets; the unconfirmed are beyond all of them."""
    assert (KEPT.upper(0.5), KEPT.upper(0.99), KEPT.verdict) == (50.0, 50.0, "nothing")
    slow = LifetimeCounts({50.0: 95.0, 100.0: 98.0}, 100.0)
    assert (slow.upper(0.99), slow.verdict) == (None, "too long")
    assert LifetimeCounts().verdict == "not searched"
    assert KEPT + slow - KEPT == slow


def findings(*places: SearchedPlace, lifetime=KEPT, **fields) -> Findings:
    return Findings(list(places), lifetime, LifetimeCounts(), 900, 96, 192, 61.2, ["it began"], **fields)


def test_one_bad_place_or_one_missing_event_and_nothing_is_proven():
    """The conclusion names what is wrong."""
    assert findings(place()).is_proven
    assert conclusion(findings(place())).startswith(
        "Nothing of any picture was found outside the documented working memory"
    )
    for bad, word in (
        (findings(place(), place(canary=False)), "files: search is blind"),
        (findings(place(), lifetime=LifetimeCounts()), "lifetime: not searched"),
        (findings(place(), faults=["no alert came"]), "no alert came"),
    ):
        assert not bad.is_proven
        assert word in conclusion(bad)


def test_the_report_is_one_page_that_fetches_nothing_and_escapes_what_was_found():
    """Also a file whose name is markup."""
    bad = place(notes=["a note"])
    bad.hit("<script>alert(1)</script>", 2)
    shown = page(findings(bad, place()))
    assert "&lt;script&gt;" in shown
    assert "<script" not in shown
    assert not any(word in shown for word in ("http:", "https:", "src=", "url("))
    assert "AUC 0.50" in shown, "what is known of a leak of presence, and what still tells it"
    assert "processor" in shown
    assert all(word in shown for word in ("FOUND", "nothing found", "a note", "it began", "p99 at most 50 ms"))
    assert json.loads(json.dumps(findings(bad).figures()))["places"][0]["hits"] == bad.hits
    assert table(findings(bad, lifetime=LifetimeCounts()))
    assert [size_text(size) for size in (12, 1_500, 2_000_000, 3_100_000_000)] == [
        "12 bytes",
        "1.5 kB",
        "2.0 MB",
        "3.1 GB",
    ]


def searching() -> tuple[Search, bytes]:
    row = canary_row()
    secret = FilmNeedles({row[i : i + 32]: Label("decoded", i) for i in range(0, 320, 32)})
    return Search(secret), row


def test_only_its_own_canary_shows_that_a_search_sees():
    """Another place's canary is neither a finding nor a sign that this search sees."""
    search, row = searching()
    search.text("logs", "notify", search.rows["mails"])
    assert (search["logs"].canary, search["logs"].hits) == (False, {})
    search.text("logs", "notify", b"said " + search.rows["logs"][:40].hex().encode())
    assert (search["logs"].canary, search["logs"].hits) == (True, {})
    search.text("logs", "notify", b"said " + row)
    assert search["logs"].hits == {"notify": 10}
    assert set(search.rows) == set(PLACES)
