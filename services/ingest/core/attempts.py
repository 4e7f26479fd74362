"""Decides about a worker's answer to a frame: count it, try once more, or give it up (ADR 14). Pure."""

from typing import Literal

from proto.frames import Outcome

Answer = Outcome | Literal["timeout", "no-worker"]
Ended = Literal["done", "shed", "unconfirmed", "error"]
"""The final outcome of a picture."""
Verdict = Ended | Literal["again"]

LIVE_TRIES = 2
_BRIEF: frozenset[str] = frozenset({"busy", "no-key", "no-worker", "late"})


def judge(answer: Answer, tries: int, left_ns: int, *, patient: bool) -> Verdict:
    """Return the verdict on an answer after `tries` tries, with `left_ns` of the budget left.

    A live frame is tried twice at most, within the budget. A `patient` one (of a recorded file) is tried until its
    longer budget ends, whatever the answer was. A live frame without an answer is `unconfirmed`: a worker may hold it.
    """
    if answer == "done":
        return "done"
    if patient:
        return "again" if left_ns > 0 else "error"
    if answer == "timeout":
        return "unconfirmed"
    if answer in {"invalid", "failed"}:
        return "error"
    may_retry = answer != "late" and tries < LIVE_TRIES and left_ns > 0
    return "again" if may_retry and answer in _BRIEF else "shed"
