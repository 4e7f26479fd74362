"""What is told of a camera does not tell whether somebody is in front of it (docs/privacy.md, "Presence").

Lifetimes of pictures with no, one and six faces, as the real pipeline measured them once (tests/support/
record_lifetimes.py), go through the code that publishes them. A report takes longer than the recording of a class
allows for 2,000 of them, so each report's pictures are drawn anew from the recording, in runs of ten neighbours.
"""

import json
from pathlib import Path

import numpy as np
import pytest
from separation import Figures, Separation, separation

from services.ingest.core.figures import Spans, Totals
from services.ingest.core.lifetime import Lifetimes
from services.privacy.counters import Outcomes, Times
from testbed.proof.core.presence import AREA, UPPER

RECORDED = json.loads(Path(__file__).with_name("lifetimes.json").read_text(encoding="utf-8"))
UNIT_NS = 10_000
REPORTS = 2_000
WINDOW_S, FPS, EVERY_S = 60, 5, 2
"""The shortest windows with a number that anybody waits for; each report tells of the last one."""
SECOND = 1_000_000_000
RUN = 10


def drawn(people: int, pictures: int, seed: int) -> np.ndarray:
    """Return the lifetimes (ns) of so many reports of so many pictures each, a row for each report."""
    recorded = np.array(RECORDED["lifetimes"][str(people)]) * UNIT_NS
    runs = -(-pictures // RUN)
    starts = np.random.default_rng([seed, people]).integers(0, len(recorded) - RUN, (REPORTS, runs))
    return recorded[starts[:, :, None] + np.arange(RUN)].reshape(REPORTS, runs * RUN)[:, :pictures]


def published(people: int, slower: float = 1.0) -> Figures:
    """Return what CameraV1 tells of windows with so many people in each picture, on a machine so much slower."""
    spans, lifetimes, rows = Spans(WINDOW_S * SECOND), Lifetimes(), []
    now, sampled = 1_800_000_000 * SECOND, 0
    spans.step(now - 1, Totals(), 25.0)
    spans.step(now, Totals(), 25.0)
    for window in drawn(people, WINDOW_S * FPS, seed=1):
        for told in window.reshape(-1, EVERY_S * FPS):
            for lived in told:
                lifetimes.add(int(lived * slower))
            sampled, now = sampled + len(told), now + EVERY_S * SECOND
            spans.step(now, Totals(sampled, 0, lifetimes.unconfirmed, lifetimes.late), 25.0)
        found = spans.latest
        assert found is not None
        assert found.end == now
        rows.append((found.fps, found.analysed_fps, found.shed_share, found.pictures, found.late))
    return np.array(rows, float)


def metrics(people: int) -> Figures:
    """Return by how much metrics grow in a minute with so many people in each picture."""
    times, outcomes, rows = Times(0.1), Outcomes("done"), []
    for minute in drawn(people, 60 * FPS, seed=2):
        for lived in minute:
            times.add(lived / 1e9)
            outcomes.add("done")
        rows.append((*times.take(), outcomes.take()["done"]))
    return np.array(rows, float)


def as_before(people: int) -> Figures:
    """Return what a report of every 2 s told: percentiles by nearest rank of the last 4 s, in ms."""
    ordered = np.sort(drawn(people, 2 * EVERY_S * FPS, seed=3), axis=1) / 1e6
    ranks = [-(-ordered.shape[1] * percent // 100) - 1 for percent in (50, 99, 100)]
    return np.round(ordered[:, ranks], 3)


def in_steps(people: int) -> Figures:
    """Return the percentiles of a window as the steps that bound them, 25, 50, 100 ms or more, on a slower machine.

    It is as much slower as brings a step between the medians of empty and of full pictures: some machine is.
    """
    medians = [np.median(RECORDED["lifetimes"][name]) * UNIT_NS / 1e6 for name in ("0", "6")]
    ordered = np.sort(drawn(people, WINDOW_S * FPS, seed=4), axis=1) / 1e6 * 25 / np.mean(medians)
    ranks = [-(-ordered.shape[1] * percent // 100) - 1 for percent in (50, 99, 100)]
    return np.searchsorted([25.0, 50.0, 100.0], ordered[:, ranks]).astype(float)


def found(told, people: int, names: str) -> Separation:
    result = separation(names.split(), told(0), told(people))
    print(f"{told.__name__}, none or {people}: {result}; recorded while {RECORDED['about']['busy']:.0%} of it was busy")
    return result


@pytest.mark.parametrize("people", [1, 6])
def test_the_public_state_tells_nobody_from_somebody(people):
    """The best simple classifier is as good as a coin; its bound is below 0.58. The proof's page says so, too."""
    result = found(published, people, "fps analysed_fps shed_share pictures late")
    assert result.area <= 0.55
    assert result.upper <= 0.58
    assert (round(result.area, 2), round(result.upper, 2)) == (AREA, UPPER)


@pytest.mark.parametrize("people", [1, 6])
def test_metrics_tell_nobody_from_somebody(people):
    """Those of pictures' times and outcomes, however often they are scraped: they change once a minute."""
    result = found(metrics, people, "within beyond done")
    assert result.area <= 0.55
    assert result.upper <= 0.58


@pytest.mark.parametrize(("slower", "least", "most"), [(4, 0.5, 0.55), (5, 0.5, 0.6), (7, 0.9, 1.0)])
def test_a_machine_that_is_too_slow_for_six_faces_tells(slower: float, least: float, most: float):
    """What is late is a count of its own: where pictures of six faces are late and others are not, it tells them apart.

    docs/privacy.md says so; above, no time that was recorded is beyond a step.
    """
    told = [published(people, slower) for people in (0, 6)]
    result = separation(["fps", "analysed_fps", "shed_share", "pictures", "late"], *told)
    print(f"{slower} times as slow, none or six: {result}")
    assert least <= result.area <= most


def test_percentiles_of_each_report_would_tell():
    """Else the recording, or the classifier, would prove nothing."""
    assert found(as_before, 6, "p50_ms p99_ms max_ms").area >= 0.85


def test_steps_of_percentiles_would_tell():
    """Why no percentile is told, be it a step of a whole window's: on some machine a step lies between none and six."""
    assert found(in_steps, 6, "p50 p99 max").area > 0.9
