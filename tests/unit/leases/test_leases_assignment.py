"""Who is to serve what: services.leases.assignment."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.leases.assignment import Lease, LeaseTable, share_of, to_claim, to_offer

KEYS = [("cannes", f"cam-{n}") for n in range(9)]
NAMES = ["a", "b", "c", "d"]


class Bucket:
    """A bucket that everybody sees at once, and replicas that act on it in turn."""

    def __init__(self, names, holders=None):
        self.view, self.revision = LeaseTable(), itertools.count(1)
        for name in names:
            self.view.replica(name, False)
        for key, name in (holders or {}).items():
            self.put(key, name)

    def put(self, key, name, *, offered=False):
        self.view.put(key, Lease(name, next(self.revision), offered=offered))

    def turn(self, name, wanted):
        """One replica's turn; returns how many leases it took, and whether it changed an offer."""
        taken = to_claim(name, self.view, wanted)
        for key in taken:
            self.put(key, name)
        offers = to_offer(name, self.view, wanted, wanted)
        changed = [key for key in self.view.held_by(name) if self.view.leases[key].offered != (key in offers)]
        for key in changed:
            self.put(key, name, offered=key in offers)
        return len(taken), bool(changed)

    def settle(self, names, wanted):
        """Turns until nothing moves; returns how many leases changed hands."""
        moves = 0
        for _ in range(40):
            turns = [self.turn(name, wanted) for name in names]
            moves += sum(taken for taken, _ in turns)
            if not any(taken or changed for taken, changed in turns):
                return moves
        raise AssertionError("they never come to rest")

    def loads(self, names, wanted):
        return [len(self.view.held_by(name) & set(wanted)) for name in names]


@given(
    names=st.lists(st.sampled_from(NAMES), min_size=1, unique=True),
    wanted=st.sets(st.sampled_from(KEYS)),
    holders=st.dictionaries(st.sampled_from(KEYS), st.sampled_from(NAMES)),
    order=st.randoms(use_true_random=False),
)
def test_they_come_to_rest_evenly(names, wanted, holders, order):
    """From any start, in any order of turns: each wanted key has one holder, loads differ by one at most."""
    holders = {key: name for key, name in holders.items() if name in names}
    bucket = Bucket(names, holders)
    turns = list(names)
    order.shuffle(turns)
    free = len(wanted - set(holders))
    before = bucket.loads(names, wanted)
    moves = bucket.settle(turns, wanted)
    loads = bucket.loads(names, wanted)
    assert sum(loads) == len(wanted)
    assert max(loads) - min(loads) <= 1
    share = share_of(len(wanted), len(names))
    needed = sum(max(0, load - share + 1) for load in before)
    assert moves - free <= needed + len(names), "little moves without need: one each, where they saw different things"


@given(wanted=st.sets(st.sampled_from(KEYS), min_size=1), gone=st.sampled_from(NAMES))
def test_who_leaves_hands_everything_over(wanted, gone):
    """Its cameras are taken by the others, and the others' stay where they are."""
    bucket = Bucket(NAMES)
    bucket.settle(NAMES, wanted)
    before = {key: lease.holder for key, lease in bucket.view.leases.items()}
    bucket.view.replica(gone, True)
    bucket.settle(NAMES, wanted)
    assert bucket.loads([gone], wanted) == [0]
    assert all(bucket.view.leases[key].holder == name for key, name in before.items() if name != gone)


def test_free_keys_are_dealt_without_talk():
    """Replicas that see the same take different keys, all of them together."""
    view = Bucket(NAMES).view
    taken = [to_claim(name, view, KEYS) for name in NAMES]
    assert sorted(itertools.chain(*taken)) == KEYS


def test_what_nobody_took_is_anybody_s():
    """A replica that was preferred and is dead keeps no key free for ever; a full one takes no more."""
    bucket = Bucket(["a", "dead"])
    due = to_claim("dead", bucket.view, KEYS)
    assert set(due).isdisjoint(to_claim("a", bucket.view, KEYS))
    assert set(due) & set(to_claim("a", bucket.view, KEYS, overdue=due))
    assert len(to_claim("a", bucket.view, KEYS, overdue=KEYS)) <= share_of(len(KEYS), 2)
    assert to_claim("a", bucket.view, KEYS, unclaimed=KEYS) == KEYS, "a replica that doesn't know them is no reason"


def test_what_cannot_move_is_not_offered():
    """A film that would begin again stays, also if its replica leaves."""
    bucket = Bucket(["a", "b"], dict.fromkeys(KEYS, "a"))
    assert to_offer("a", bucket.view, KEYS, movable=[]) == set()
    assert to_offer("a", bucket.view, KEYS, movable=KEYS[:1]) == {KEYS[0]}
    bucket.view.replica("a", True)
    assert to_offer("a", bucket.view, KEYS, movable=KEYS[:4]) == set(KEYS[:4])
    bucket.view.replica("b", None)
    assert to_offer("a", bucket.view, KEYS, movable=KEYS) == set(), "there is nobody to take them"


@given(st.permutations([("put", 1), ("put", 2), ("remove", 3), ("put", 4)]))
def test_the_newest_revision_counts(changes):
    """In whatever order a view hears of them."""
    view = LeaseTable()
    for kind, revision in changes:
        if kind == "put":
            view.put(KEYS[0], Lease("a", revision))
        else:
            view.remove(KEYS[0], revision)
    assert view.leases[KEYS[0]].revision == 4
    view.remove(KEYS[0], 5)
    view.put(KEYS[0], Lease("late", 4))
    assert KEYS[0] not in view.leases
    view.reset()
    view.put(KEYS[0], Lease("a", 1))
    assert view.held_by("a") == {KEYS[0]}


@given(st.lists(st.tuples(st.sampled_from(["a", "b"]), st.booleans(), st.booleans()), min_size=1))
def test_only_news_is_news(entries):
    """An entry that differs from the one before in its revision alone keeps a lease alive, and says nothing new."""
    view, before = LeaseTable(), None
    for revision, (holder, live, offered) in enumerate(entries, 1):
        assert view.put(KEYS[0], Lease(holder, revision, live, offered)) == (before != (holder, live, offered))
        assert not view.put(KEYS[0], Lease("late", revision - 1, not live)), "it is older"
        before = (holder, live, offered)
    assert not view.remove(KEYS[0], len(entries)), "it is older"
    assert [view.remove(KEYS[0], revision) for revision in (99, 100)] == [True, False]


def test_a_replica_is_news_once():
    """When it comes, when it leaves, when it is gone; not each time that it says so."""
    view = LeaseTable()
    said = [False, False, True, True, None, None, False]
    assert [view.replica("a", leaving) for leaving in said] == [True, False, True, False, True, False, True]


@pytest.mark.parametrize(("wanted", "replicas", "share"), [(12, 1, 12), (12, 3, 4), (12, 5, 3), (1, 3, 1), (0, 2, 0)])
def test_share(wanted, replicas, share):
    """The even share, rounded up."""
    assert share_of(wanted, replicas) == share


@pytest.mark.parametrize("key", KEYS[:4])
def test_an_offer_stands(key):
    """The key that is offered already is offered again, whichever it is: else no offer would last until it is seen."""
    bucket = Bucket(["a", "b"], dict.fromkeys(KEYS[:4], "a"))
    bucket.put(key, "a", offered=True)
    assert to_offer("a", bucket.view, KEYS[:4], KEYS[:4]) == {key}
