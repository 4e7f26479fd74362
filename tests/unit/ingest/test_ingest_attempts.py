"""What to do with an answer: services.ingest.core.attempts."""

from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.ingest.core.attempts import LIVE_TRIES, Answer, Verdict, judge

MS = 1_000_000
VERDICTS = tuple(value for part in get_args(Verdict) for value in (get_args(part) or (part,)))
ANSWERS = tuple(value for part in get_args(Answer) for value in (get_args(part) or (part,)))
TABLE = [
    # answer, first try, second try, no time left after the first try
    ("done", "done", "done", "done"),
    ("busy", "again", "shed", "shed"),
    ("no-key", "again", "shed", "shed"),
    ("no-worker", "again", "shed", "shed"),
    ("late", "shed", "shed", "shed"),
    ("timeout", "unconfirmed", "unconfirmed", "unconfirmed"),
    ("invalid", "error", "error", "error"),
    ("failed", "error", "error", "error"),
]


def test_the_table_has_every_answer():
    """No answer of the contract is forgotten."""
    assert sorted(row[0] for row in TABLE) == sorted(ANSWERS)


@pytest.mark.parametrize(("answer", "first", "second", "out_of_time"), TABLE)
def test_a_live_frame(answer, first, second, out_of_time):
    """Two tries at most and within the budget; no answer is unconfirmed at once, since somebody may hold the frame."""
    assert judge(answer, 1, 50 * MS, patient=False) == first
    assert judge(answer, 2, 50 * MS, patient=False) == second
    assert judge(answer, 1, 0, patient=False) == out_of_time
    assert judge(answer, 1, -1, patient=False) == out_of_time


@pytest.mark.parametrize("answer", [a for a in ANSWERS if a != "done"])
def test_a_patient_frame(answer):
    """A recorded picture is tried until its budget ends, whatever the answer was."""
    assert judge(answer, 1, 1, patient=True) == "again"
    assert judge(answer, 1_000, 1, patient=True) == "again"
    assert judge(answer, 1, 0, patient=True) == "error"


CASES = {
    "answer": st.sampled_from(ANSWERS),
    "tries": st.integers(1, 50),
    "left": st.integers(-(10**12), 10**12),
    "patient": st.booleans(),
}


@given(**CASES)
def test_every_case_has_a_verdict(answer, tries, left, patient):
    """`done` is done and nothing else is; a verdict is one of the known ones."""
    verdict = judge(answer, tries, left, patient=patient)
    assert verdict in VERDICTS
    assert (verdict == "done") == (answer == "done")


@given(**CASES)
def test_nothing_is_tried_again_without_time(answer, tries, left, patient):
    """A frame whose budget is spent is never sent again, and a live one never a third time."""
    if judge(answer, tries, left, patient=patient) == "again":
        assert left > 0
        assert patient or tries < LIVE_TRIES


@given(**CASES)
def test_only_silence_is_unconfirmed(answer, tries, left, patient):
    """Whoever answered has overwritten the pixels; only a live frame without an answer has no known end."""
    verdict = judge(answer, tries, left, patient=patient)
    assert (verdict == "unconfirmed") == (answer == "timeout" and not patient)


@given(answers=st.lists(st.sampled_from(ANSWERS), min_size=60, max_size=60), patient=st.booleans())
def test_every_frame_comes_to_an_end(answers, patient):
    """Whatever the answers are, with 20 ms a try the tries end: after two, or when the budget is spent."""
    left, verdict = 1_000 * MS, "again"
    for tries, answer in enumerate(answers, 1):
        left -= 20 * MS
        verdict = judge(answer, tries, left, patient=patient)
        if verdict != "again":
            break
    assert verdict != "again"
    assert patient or tries <= LIVE_TRIES
