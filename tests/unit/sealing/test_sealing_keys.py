"""Frame keys over virtual time: services.frames.sealing.keys."""

import itertools
import random
from collections import Counter

import pytest
from cryptography.exceptions import InvalidTag
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from services.frames.sealing import keys as sut
from services.frames.sealing.keys import (
    CHECK_NS,
    KEEP_NS,
    LEAD_NS,
    OPEN_NS,
    ROTATE_NS,
    FrameKey,
    OpeningKeys,
    SealingKeys,
)

MS = 1_000_000
START = 5_000 * MS
SITE = "cannes"


def secret(number=1):
    return bytearray(number.to_bytes(32, "big"))


def is_dead(key: FrameKey):
    return not any(key.secret) and key.cipher is None


def test_the_constants_agree():
    """A worker's copy dies within 2 s of the key's birth, and a key still lives when the next one is ripe."""
    assert OPEN_NS + CHECK_NS <= KEEP_NS == 2_000 * MS
    assert ROTATE_NS == 1_000 * MS
    assert ROTATE_NS + CHECK_NS + LEAD_NS + 100 * MS <= OPEN_NS


def test_a_key_has_32_random_bytes():
    """Two keys share neither id nor secret, and the cipher is that of the secret."""
    one, two = sut.new_key(0), sut.new_key(0)
    assert (len(one.id), len(one.secret)) == (8, 32)
    assert one.id != two.id
    assert one.secret != two.secret
    assert one.cipher is not None
    sealed = one.cipher.encrypt(bytes(12), b"x", None)
    assert sut.AESGCM(one.secret).decrypt(bytes(12), sealed, None) == b"x"


def test_nonces_never_repeat():
    """A key gives each nonce once: 12 bytes, of which 4 count, so that no chance is needed."""
    key = sut.new_key(0)
    nonces = [key.nonce() for _ in range(10_000)]
    assert len(set(nonces)) == 10_000
    assert {len(nonce) for nonce in nonces} == {12}
    assert [int.from_bytes(nonce[:4], "big") for nonce in nonces] == list(range(1, 10_001))


def test_two_restored_copies_of_a_machine_seal_with_other_nonces():
    """Both go on with the same key and the same counter, as after a snapshot: the kernel's random bits are apart."""
    one = sut.new_key(0)
    two = FrameKey(one.id, bytearray(one.secret), one.cipher, 0, sealed=one.sealed)
    assert not {one.nonce() for _ in range(1_000)} & {two.nonce() for _ in range(1_000)}


def test_no_nonce_meets_a_key_twice_whoever_seals():
    """Three cameras of a site share a key and its counter; another replica, or a restart that moment, doesn't."""
    starts = [SealingKeys(START) for _ in range(3)]
    used = [
        (bytes(keys.current(START + n * 10 * MS).secret), keys.current(START + n * 10 * MS).nonce())
        for keys in starts
        for n in range(400)
        for _camera in range(3)
    ]
    assert len(set(used)) == len(used) == 3_600
    assert len({secret for secret, _ in used}) > 9


def test_destroy_overwrites_the_secret_in_place():
    """The very memory of the secret is zeros, and the cipher is gone."""
    key = sut.new_key(0)
    memory = key.secret
    assert any(memory)
    key.destroy()
    assert memory is key.secret
    assert memory == bytes(32)
    assert key.cipher is None


def test_a_new_key_every_second():
    """Ten seconds of looking ten times a second make ten keys, each handed out once, a second apart."""
    keys = SealingKeys(START)
    handed = list(itertools.chain.from_iterable(keys.due(START + n * CHECK_NS) for n in range(100)))
    assert [key.born - START for key in handed] == [n * ROTATE_NS for n in range(10)]
    assert len({key.id for key in handed}) == 10


def test_a_new_key_is_used_only_when_workers_have_had_time_to_receive_it():
    """Up to LEAD_NS after the second key's birth it is still the first that seals."""
    keys = SealingKeys(START)
    (first,) = keys.due(START)
    (second,) = keys.due(START + ROTATE_NS)
    assert keys.current(START + ROTATE_NS + LEAD_NS - 1) is first
    assert keys.current(START + ROTATE_NS + LEAD_NS) is second


def test_the_first_key_is_used_at_once():
    """There is always a key to seal with."""
    keys = SealingKeys(START)
    assert keys.current(START).cipher is not None


@pytest.mark.parametrize("late", [KEEP_NS, KEEP_NS + 1, 3 * KEEP_NS, 1_000 * KEEP_NS])
def test_a_stalled_loop_seals_with_no_old_key(late):
    """However long nobody looked: what seals is young and will be handed out, and the old key is zeros."""
    keys = SealingKeys(START)
    (old,) = keys.due(START)
    current = keys.current(START + late)
    assert is_dead(old)
    assert current.born == START + late
    assert keys.due(START + late) == [current]


def test_a_key_that_comes_late_does_not_keep_its_elder_alive():
    """With the second key made just before the first one's end, the first seals no further than its age allows."""
    keys = SealingKeys(START)
    (first,) = keys.due(START)
    (second,) = keys.due(START + 1_850 * MS)
    assert keys.current(START + 1_899 * MS) is first
    assert keys.current(START + 1_950 * MS) is second
    assert is_dead(first)


def test_what_died_before_it_was_handed_out_is_not_handed_out():
    """A dead key is of no use to a worker."""
    keys = SealingKeys(START)
    assert [key.born for key in keys.due(START + KEEP_NS)] == [START + KEEP_NS]


def test_a_worker_that_joins_gets_young_keys_only():
    """It will keep a key as long as any other worker does, so it gets none that is old already."""
    keys = SealingKeys(START)
    keys.due(START)
    (young,) = keys.joined(START + LEAD_NS - 1)
    assert young.born == START
    (made,) = keys.joined(START + LEAD_NS)
    assert made.born == START + LEAD_NS
    assert keys.due(START + LEAD_NS) == [made], "the others must have it too"


def test_workers_that_join_together_share_a_key():
    """A hundred workers that start at once do not make a hundred keys."""
    keys = SealingKeys(START)
    given = {key.id for n in range(100) for key in keys.joined(START + 500 * MS + n * MS)}
    assert len(given) == 1


def test_destroying_sealing_keys_zeroes_all():
    """Nothing is left at the end."""
    keys = SealingKeys(START)
    handed = keys.due(START) + keys.due(START + ROTATE_NS)
    keys.destroy()
    assert [is_dead(key) for key in handed] == [True, True]


class Sealing(RuleBasedStateMachine):
    """Any order of looks, joins and frames at any times."""

    @initialize()
    def start(self):
        self.now = START
        self.looked = START
        self.keys = SealingKeys(self.now)
        self.all: dict[bytes, FrameKey] = {}
        self.nonces: set[tuple[bytes, bytes]] = set()
        self.handed: list[bytes] = []

    def see(self, keys):
        self.looked = self.now
        for key in keys:
            self.all[key.id] = key

    @rule(step=st.one_of(st.integers(0, 300), st.integers(0, 5_000)))
    def pass_time(self, step):
        self.now += step * MS

    @rule()
    def look(self):
        due = self.keys.due(self.now)
        self.see(due)
        self.handed += [key.id for key in due]
        assert all(key.cipher is not None for key in due)
        assert len(set(self.handed)) == len(self.handed)

    @rule()
    def join(self):
        young = self.keys.joined(self.now)
        self.see(young)
        assert young
        assert all(self.now - key.born < LEAD_NS for key in young)

    @rule()
    def seal(self):
        key = self.keys.current(self.now)
        self.see([key])
        assert key.cipher is not None
        assert self.now - key.born < KEEP_NS
        nonce = key.nonce()
        assert (bytes(key.secret), nonce) not in self.nonces
        self.nonces.add((bytes(key.secret), nonce))

    @precondition(lambda self: self.looked == self.now)
    @invariant()
    def none_is_old(self):
        """After every look what is too old is zeros, and what lives is young."""
        for key in self.all.values():
            assert is_dead(key) == (self.now - key.born >= KEEP_NS - CHECK_NS)


TestSealing = Sealing.TestCase


def test_a_worker_keeps_a_key_for_its_time_and_not_longer():
    """It opens up to OPEN_NS after the receipt; then the secret is zeros."""
    keys, memory = OpeningKeys(), secret()
    keys.add(SITE, b"one", memory, START)
    assert keys.get(SITE, b"one", START + OPEN_NS - 1) is not None
    assert keys.get(SITE, b"one", START + OPEN_NS) is None
    assert memory == bytes(32)
    assert len(keys) == 0


@pytest.mark.parametrize(("age", "doubt"), [(300 * MS, 0), (0, 300 * MS), (100 * MS, 200 * MS)])
def test_a_key_dies_by_its_own_age(age, doubt):
    """What it was when it was sent, and what it may have been under way since, are taken off its time."""
    keys = OpeningKeys()
    assert keys.add(SITE, b"one", secret(), START, age=age, doubt=doubt)
    key = keys.get(SITE, b"one", START + OPEN_NS - 300 * MS - 1)
    assert key.born + key.doubt == START - age, "it is no younger than it was when it came"
    assert keys.get(SITE, b"one", START + OPEN_NS - 300 * MS) is None


def test_a_key_that_comes_too_late_is_refused():
    """Played back after its time, to whomever: it is wiped at once and nothing opens again."""
    keys, memory = OpeningKeys(), secret()
    assert not keys.add(SITE, b"one", memory, START, age=OPEN_NS - 5, doubt=5)
    assert (memory, len(keys), keys.get(SITE, b"one", START)) == (bytes(32), 0, None)


def test_expire_needs_no_frame():
    """An idle worker's keys die too."""
    keys, memory = OpeningKeys(), secret()
    keys.add(SITE, b"one", memory, START)
    keys.expire(START + OPEN_NS)
    assert (memory, len(keys)) == (bytes(32), 0)


def test_an_unknown_key_is_none():
    """What was never received is no key."""
    assert OpeningKeys().get(SITE, b"one", START) is None


def test_a_repeated_key_does_not_live_longer():
    """The same key sent again keeps its first time, and the second copy is wiped at once."""
    keys, again = OpeningKeys(), secret()
    keys.add(SITE, b"one", secret(), START)
    keys.add(SITE, b"one", again, START + OPEN_NS - 1)
    assert again == bytes(32)
    assert keys.get(SITE, b"one", START + OPEN_NS) is None


def test_a_flood_of_keys_is_bounded_and_the_oldest_goes_first():
    """Whatever a worker is sent it holds 256 keys of a site at most, and what makes room is wiped."""
    keys, memories = OpeningKeys(), [secret(n + 1) for n in range(300)]
    for number, memory in enumerate(memories):
        keys.add(SITE, number.to_bytes(8, "big"), memory, START + number)
    assert len(keys) == 256
    assert not any(any(memory) for memory in memories[:44])
    assert all(any(memory) for memory in memories[44:])
    assert keys.get(SITE, (43).to_bytes(8, "big"), START + 300) is None
    assert keys.get(SITE, (44).to_bytes(8, "big"), START + 300) is not None


class Crowd:
    """Ingests of sites that hand their keys to one worker, over virtual time, and seal all the time."""

    def __init__(self, **ingests):
        self.now, self.displaced = START, Counter()
        self.held = OpeningKeys(lambda site: self.displaced.update([site]))
        self.missing, self.frames, self.most = Counter(), 0, 0
        chance = random.Random(1)
        self.starts = sorted(
            (chance.randrange(ROTATE_NS), site) for site, count in ingests.items() for _ in range(count)
        )
        self.givers = []

    def run(self, seconds, joins_every_ms=0):
        """Let time pass. From two seconds on, when all have begun, look for the key of each ingest's next frame."""
        for step in range(seconds * 10):
            self.now = START + step * CHECK_NS
            while self.starts and self.starts[0][0] <= self.now - START:
                self.givers.append((self.starts.pop(0)[1], SealingKeys(self.now)))
            if joins_every_ms and step * 100 % joins_every_ms == 0:
                for _, keys in self.givers:
                    keys.joined(self.now)  # the same keys are due below, for all workers
            self._tenth(counts=step >= 20)
        return self

    def _tenth(self, *, counts):
        for site, keys in self.givers:
            for key in keys.due(self.now):
                self.held.add(site, key.id, bytearray(key.secret), self.now, age=self.now - key.born)
        self.most = max(self.most, len(self.held))
        for site, keys in self.givers if counts else ():
            self.frames += 1
            self.missing[site] += self.held.get(site, keys.current(self.now).id, self.now) is None


def test_64_ingests_of_64_sites_are_served_by_one_worker():
    """4,096 givers, where every ingest has a camera of every site: each frame finds its key, and none is displaced."""
    crowd = Crowd(**{f"s{n}": 64 for n in range(64)}).run(4)
    assert (crowd.frames, crowd.missing.total(), crowd.displaced.total()) == (20 * 4_096, 0, 0)
    assert 4_096 * 1.5 < crowd.most <= 64 * 256


@pytest.mark.parametrize("every_ms", [200, 300, 500])
def test_workers_that_come_one_after_another_crowd_nobody_out(every_ms):
    """A rollout of workers makes new keys several times a second: the oldest go, and none that anybody seals with."""
    crowd = Crowd(cannes=64, lyon=2).run(6, joins_every_ms=every_ms)
    assert crowd.missing.total() == 0
    assert crowd.displaced["lyon"] == 0


def test_most_givers_of_a_site_displace_nothing():
    """So many ingests of one site as the doctor allows: no living key is displaced."""
    crowd = Crowd(cannes=sut.MAX_GIVERS).run(5)
    assert (crowd.missing.total(), crowd.displaced.total()) == (0, 0)


def test_a_crowded_site_costs_another_one_nothing():
    """300 ingests of one site: its own frames are without their keys, which is counted, and no other site's are."""
    crowd = Crowd(cannes=300, lyon=2).run(5)
    assert crowd.missing["cannes"] > 0
    assert crowd.displaced["cannes"] > 0
    assert (crowd.missing["lyon"], crowd.displaced["lyon"]) == (0, 0)


def test_a_key_is_its_sites():
    """The same id under another site is no key: a frame opens with a key of its own site alone."""
    keys = OpeningKeys()
    keys.add(SITE, b"one", secret(), START)
    assert keys.get("lyon", b"one", START) is None
    keys.add("lyon", b"one", secret(2), START)
    assert keys.get("lyon", b"one", START) is not keys.get(SITE, b"one", START)
    assert len(keys) == 2


def test_what_was_displaced_leaves_its_successor_alone():
    """A key that was displaced and comes again lives as long as it may then; the first one's end takes nothing away."""
    keys = OpeningKeys()
    for number in range(257):
        keys.add(SITE, number.to_bytes(8, "big"), secret(number + 1), START)
    keys.add(SITE, bytes(8), secret(1), START + 500 * MS)
    assert keys.get(SITE, bytes(8), START + OPEN_NS) is not None
    assert keys.get(SITE, bytes(8), START + OPEN_NS + 500 * MS) is None


def test_destroying_opening_keys_zeroes_all():
    """Nothing is left at the end."""
    keys, memory = OpeningKeys(), secret()
    keys.add(SITE, b"one", memory, START)
    keys.destroy()
    assert (memory, len(keys)) == (bytes(32), 0)


@given(steps=st.lists(st.tuples(st.integers(0, 2_500), st.integers(0, 9), st.integers(0, 2_500)), max_size=30))
def test_no_worker_holds_a_key_for_too_long(steps):
    """At any sequence of receipts and looks: after each the held keys are young and the others zeros."""
    keys, now, born, memories = OpeningKeys(), START, {}, {}
    for wait, number, look in steps:
        now += wait * MS
        name = number.to_bytes(8, "big")
        if name not in born or now - born[name] >= OPEN_NS:
            born[name], memories[name] = now, secret(number + 1)
            keys.add(SITE, name, memories[name], now)
        now += look * MS
        keys.expire(now)
        for key, memory in memories.items():
            assert any(memory) == (now - born[key] < OPEN_NS)
            assert (keys.get(SITE, key, now) is not None) == any(memory)


@pytest.mark.parametrize("seconds", [3, 7])
def test_both_sides_in_step(seconds):
    """With looks every 100 ms a worker opens every frame that took 100 ms, and dead keys are dead on both sides."""
    sealing, opening, everything = SealingKeys(START), OpeningKeys(), []
    flying = []
    for tick in range(seconds * 100):
        now = START + tick * 10 * MS
        if tick % 10 == 0:
            for key in sealing.due(now):
                everything.append(key)
                opening.add(SITE, key.id, bytearray(key.secret), now, age=now - key.born)
            opening.expire(now)
        current = sealing.current(now)
        nonce = current.nonce()
        flying.append((now + 100 * MS, current.id, nonce, current.cipher.encrypt(nonce, b"frame", None)))
        while flying and flying[0][0] <= now:
            _, name, nonce, sealed = flying.pop(0)
            assert opening.get(SITE, name, now).cipher.decrypt(nonce, sealed, None) == b"frame"
    assert all(is_dead(key) == (now - key.born >= KEEP_NS - CHECK_NS) for key in everything)
    assert opening.get(SITE, everything[0].id, now) is None


def test_a_recorded_frame_is_noise_after_its_key_died():
    """What was sealed with a destroyed key opens with none of those alive."""
    keys = SealingKeys(START)
    key = keys.current(START)
    sealed = key.cipher.encrypt(key.nonce(), b"frame", None)
    keys.due(START + 5 * KEEP_NS)
    assert is_dead(key)
    for later in (keys.current(START + 5 * KEEP_NS).cipher, sut.AESGCM(key.secret)):
        with pytest.raises(InvalidTag):
            later.decrypt((1).to_bytes(12, "big"), sealed, None)
