"""The fair queue: whose turn it is, who finds room, and what it keeps, under any order of puts and takes."""

import itertools
from collections import Counter, deque

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.bus.service.fair_queue import FairQueue, TokenBucket

LIMITS = 9, 7, 5, 3
ASKERS = [(account, user, str(number)) for account in "AB" for user in "uv" for number in range(3)]
STEPS = st.lists(st.sampled_from([*ASKERS, None, None, None, None]), min_size=40, max_size=90)
"""Whose item is put; None is a take, of which there are too few."""


class Followed:
    """A queue with a plain list of what should be in it, which says what comes back."""

    def __init__(self, limits=LIMITS):
        self.queue, self.waiting, self.number = FairQueue(*limits), [], 0

    def put(self, asker):
        self.number += 1
        self.waiting.append((asker, self.number))
        refused = self.queue.put(asker, (asker, self.number))
        if refused is not None:
            self.waiting.remove(refused)
        return refused

    def take(self):
        taken = self.queue.take()
        if taken is not None:
            self.waiting.remove(taken)
        return taken

    def has(self, *names):
        return sum(asker[: len(names)] == names for asker, _ in self.waiting)

    def run(self, steps):
        return [self.take() if step is None else self.put(step) for step in steps]


def drained(queue):
    return list(iter(queue.take, None))


@given(STEPS)
def test_nothing_is_lost_or_doubled(steps):
    """What was put comes back once, refused or taken; an asker's own items in their order."""
    followed = Followed()
    followed.run(steps)
    assert len(followed.queue) == len(followed.waiting)
    left = drained(followed.queue)
    assert sorted(left) == sorted(followed.waiting)
    for asker in ASKERS:
        own = [number for who, number in left if who == asker]
        assert own == sorted(own)


@given(STEPS)
def test_bounds_hold(steps):
    """No more wait in all, of an account, a user, a connection, than the limits say; within them nobody is refused."""
    followed = Followed()
    for step in steps:
        if step is None:
            followed.take()
            continue
        counts = [followed.has(*step[:depth]) for depth in range(4)]
        refused = followed.put(step)
        assert (refused is not None) == any(count == limit for count, limit in zip(counts, LIMITS, strict=True))
        assert all(followed.has(*step[:depth]) <= LIMITS[depth] for depth in range(4))


@given(STEPS)
def test_whoever_has_most_waiting_gives_way(steps):
    """Of what is full the account loses that has most waiting, of it the user, of it the connection, and of it the
    newest item: who has one finds room where anybody has two."""
    followed = Followed()
    for step in steps:
        if step is None:
            followed.take()
            continue
        full = [depth for depth in range(4) if followed.has(*step[:depth]) == LIMITS[depth]]
        before = [*followed.waiting, (step, followed.number + 1)]
        if (refused := followed.put(step)) is None:
            continue
        counts = Counter(who[:depth] for who, _ in before for depth in range(4))
        assert refused[0][: max(full)] == step[: max(full)]
        for depth in range(max(full), 3):
            inside = [names for names in counts if names[:depth] == refused[0][:depth] and len(names) == depth + 1]
            assert counts[refused[0][: depth + 1]] == max(counts[names] for names in inside)
        assert refused == max((one for one in before if one[0] == refused[0]), key=lambda one: one[1])


def test_of_equals_the_last_in_turn_gives_way():
    """Where all have as many waiting, who waited before keeps its place."""
    queue = FairQueue(2, 2, 2, 2)
    assert [queue.put(asker, asker) for asker in ASKERS[:3]] == [None, None, ASKERS[2]]


@given(STEPS)
def test_turns_are_taken(steps):
    """Between two turns of who still waits, every other account has one at most; so within an account its users have,
    and within a user its connections."""
    followed = Followed((10**6,) * 4)
    since: dict[tuple[str, ...], Counter[str]] = {}
    for step in [*steps, *[None] * len(steps)]:
        if step is not None:
            for depth in range(3):
                since.setdefault(step[: depth + 1], Counter())
            followed.put(step)
            continue
        taken = followed.take()
        if taken is None:
            continue
        who, _ = taken
        for depth in range(3):
            for waiting, others in since.items():
                if len(waiting) == depth + 1 and waiting[:depth] == who[:depth] and waiting != who[: depth + 1]:
                    others[who[depth]] += 1
                    assert others[who[depth]] <= 1, (waiting, who)
        for depth in range(3):
            own = who[: depth + 1]
            since.pop(own)
            if followed.has(*own):
                since[own] = Counter()


@given(st.integers(1, 6), st.integers(2, 5), st.sampled_from([1, 2]), st.integers(0, 3))
def test_nobody_waits_for_ever(askers, each, depth, more):
    """However many new users, or connections, come: who waits has its next turn after two turns, at most, for each
    asker that waited at its last one."""
    queue = FairQueue(10**6, 10**6, 10**6, 10**6)
    patient = [("A", f"u{n}", "0") if depth == 1 else ("A", "u", str(n)) for n in range(askers)]
    for asker in patient * each:
        queue.put(asker, asker)
    left, numbers, waiting = dict.fromkeys(patient, each), itertools.count(), 0
    within: dict[tuple[str, ...], int] = dict.fromkeys(patient, 2 * askers + 2)
    for turn in itertools.count():
        for _ in range(1 if turn % 2 else more):
            name = f"new {next(numbers)}"
            waiting += 1
            queue.put(("A", name, "0") if depth == 1 else ("A", "u", name), None)
        taken = queue.take()
        waiting -= taken is None
        within = {asker: turns - 1 for asker, turns in within.items() if left[asker]}
        if taken is not None:
            left[taken] -= 1
            within[taken] = 2 * (waiting + askers) + 2
        assert all(turns >= 0 for asker, turns in within.items() if left[asker])
        if not any(left.values()):
            return


def test_who_comes_while_another_is_served_is_next():
    """One who asks again and again has no turn more before somebody new, whether or not it had more waiting."""
    for more in (0, 5):
        followed = Followed()
        followed.run([ASKERS[0]] * (1 + more))
        assert followed.take()[0] == ASKERS[0]
        followed.run([ASKERS[0], ASKERS[1], ASKERS[2]])
        assert [who for who, _ in drained(followed.queue)][:3] == [ASKERS[1], ASKERS[2], ASKERS[0]]


@given(st.integers(1, 30), st.integers(1, 5), st.integers(0, 40))
def test_however_many_flood_one_who_is_new_is_soon_served(flooders, each, turns):
    """Behind one of the others at most for each that is new, too, and had come before."""
    queue = FairQueue(10**6, 10**6, 10**6, 10**6)
    for asker in [("A", "u", str(number)) for number in range(flooders)] * (each + turns):
        queue.put(asker, asker)
    for _ in range(flooders + turns):
        queue.take()
    honest, like_it = ("A", "u", "honest"), ("A", "u", "before")
    for asker in (like_it, honest, honest):
        queue.put(asker, asker)
    taken = list(iter(queue.take, honest))
    assert taken.count(like_it) == 1
    assert len(taken) <= 3
    between = list(iter(queue.take, honest))
    assert len(between) == len(set(between))


def test_what_is_known_of_those_that_went_is_bounded():
    """Connection after connection asks once, each before somebody who has a flood waiting."""
    queue = FairQueue(50, 50, 50, 50)
    for number in range(40):
        queue.put(("A", "u", "flooder"), number)
    queue.take()
    for number in range(1_000):
        queue.put(("A", "u", str(number)), "new")
        queue.take()
    assert len(queue._root.known["A"].known["u"].known) <= 52


def test_an_account_of_many_has_one_turn():
    """Ten connections of one account don't keep another account waiting longer than one does."""
    queue = FairQueue(99, 99, 99, 99)
    for number in range(10):
        queue.put(("many", "u", str(number)), number)
    queue.put(("few", "u", "0"), "mine")
    assert [queue.take(), queue.take()] == [0, "mine"]


@given(STEPS)
def test_askers_leave_nothing_behind(steps):
    """Once empty, the queue knows nobody but the one who had the last turn; cleared, it is empty."""
    followed = Followed()
    followed.run(steps)
    drained(followed.queue)
    root = followed.queue._root
    assert (root.fresh, root.known, root.waiting) == ({}, {}, 0)
    followed.queue.put(ASKERS[0], 1)
    followed.queue.clear()
    assert (followed.queue.take(), len(followed.queue)) == (None, 0)


@given(st.lists(st.floats(0, 3), max_size=60), st.integers(1, 9))
def test_an_allowance_is_kept(waits, per_s):
    """In any second twice the allowance at most; over a long time no more than it and one second's beside."""
    allowance, now, spent = TokenBucket(per_s), 1000.0, deque()
    for wait in waits:
        now += wait
        if allowance.spend(now):
            spent.append(now)
        assert sum(1 for at in spent if at > now - 1) <= 2 * per_s
    assert len(spent) <= per_s * (now - 1000.0 + 1) + 1e-6


@pytest.mark.parametrize("per_s", [1.0, 50.0])
def test_an_allowance_comes_back(per_s):
    """All at once, then none, then all again a second later; a clock that stands still gives none."""
    allowance = TokenBucket(per_s)
    for now in (0.0, 5.0):
        assert [allowance.spend(now) for _ in range(int(per_s) + 1)] == [True] * int(per_s) + [False]


def test_a_clock_put_back_takes_no_allowance_away():
    """It gives none for the time before, and goes on from there."""
    allowance = TokenBucket(2.0)
    assert [allowance.spend(now) for now in (1.0, 1.0, 0.5, 1.0, 1.0)] == [True, True, False, True, False]
