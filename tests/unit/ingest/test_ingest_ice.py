"""What a peer can make ICE do: services.ingest.core.ice."""

from collections import Counter

import pytest
from examples import examples
from hypothesis import given
from hypothesis import strategies as st

from services.ingest.core.ice import (
    CHECKS_PER_S,
    FACTOR,
    LARGEST_STUN,
    MAX_CANDIDATES,
    MAX_OFFERED,
    MAX_STREAMS,
    NEW_STREAM_S,
    OFFERED_BYTES,
    PER_S,
    STRANGERS_PER_S,
    RateLimit,
    RemoteCandidates,
    RtpSources,
    kind_of,
)

COOKIE = bytes.fromhex("2112a442")
NAME = "abcd"
PEER = ("192.0.2.1", 4000)
REQUEST_BYTES, RESPONSE_BYTES, CHECK_BYTES = 108, 64, 88
"""Of Chromium's requests, and of aioice's messages with names of four characters."""


def request(name=NAME, size=REQUEST_BYTES) -> bytes:
    return (b"\x00\x01\x00\x58" + COOKIE + bytes(12) + f"\x00\x06\x00\x09{name}:wxyz".encode()).ljust(size, b"\0")


RESPONSE = b"\x01\x01\x00\x2c" + COOKIE + bytes(56)
DTLS = b"\x16\xfe\xfd" + bytes(40)


def rtp(ssrc: int) -> bytes:
    return b"\x80\x60" + bytes(6) + ssrc.to_bytes(4, "big") + bytes(20)


def rtcp(ssrc: int) -> bytes:
    return b"\x80\xc8" + bytes(2) + ssrc.to_bytes(4, "big") + bytes(20)


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        (request(), "request"),
        (request(size=LARGEST_STUN), "request"),
        (request(size=LARGEST_STUN + 1), None),
        (request()[:19], None),
        (request()[:20], "request"),
        (request().replace(COOKIE, bytes(4)), None),
        (RESPONSE, "response"),
        (b"\x00\x11" + RESPONSE[2:], None),  # an indication
        (b"\x01\x11" + RESPONSE[2:], None),  # an error response
        (b"\x00\x03" + RESPONSE[2:], None),  # TURN's Allocate
        (DTLS, "dtls"),
        (b"\x14" + bytes(12), "dtls"),
        (b"\x3f" + bytes(12), "dtls"),
        (b"\x13" + bytes(12), None),
        (b"\x40" + bytes(12), None),
        (rtp(1), "rtp"),
        (b"\xbf\xbf" + bytes(12), "rtp"),
        (b"\x80\xc0" + bytes(12), "rtcp"),
        (b"\x80\xd0" + bytes(12), "rtcp"),
        (b"\x80\xd1" + bytes(12), "rtp"),
        (b"\x7f" + bytes(12), None),
        (b"\xc0" + bytes(12), None),
        (rtp(1)[:11], None),
        (rtp(1)[:12], "rtp"),
        (b"", None),
    ],
)
def test_a_datagram_is_told_by_its_first_bytes(data: bytes, kind: str | None):
    """RFC 7983; STUN only if it is whole, small, and of a kind that is read."""
    assert kind_of(data) == kind


@given(st.binary(max_size=64))
def test_any_bytes_are_of_one_kind_or_none(data: bytes):
    """No error comes of what anybody sends."""
    assert kind_of(data) in {None, *PER_S}


@given(st.integers(1, 200), st.lists(st.floats(0, 0.2), max_size=400))
def test_a_rate_is_held_in_every_interval(per_s: int, steps: list[float]):
    """So many at once, and so many a second after that; what is refused costs nothing."""
    rate, now, used = RateLimit(per_s), 1000.0, []
    for step in steps:
        now += step
        used += [now] if rate.spend(now) else []
    for first, begin in enumerate(used):
        for last in range(first, len(used)):
            assert last - first + 1 <= per_s * (1 + used[last] - begin) + 1


def test_a_rate_allows_what_it_says():
    """All at once, none more, and as many again a second later."""
    rate = RateLimit(50)
    assert [rate.spend(7.0) for _ in range(60)] == [True] * 50 + [False] * 10
    assert [rate.spend(8.0) for _ in range(60)] == [True] * 50 + [False] * 10


def known(*offered) -> RemoteCandidates:
    candidates = RemoteCandidates(NAME, offered)
    assert candidates.accept(PEER, REQUEST_BYTES)
    return candidates


def test_strangers_are_read_only_if_they_may_be_the_peer():
    """With our name in a request; nothing else comes from an address that has not shown itself."""
    candidates, other = known(("192.0.2.9", 4001)), ("198.51.100.7", 9)
    assert candidates.heard(request(), other, 0.0) == "request"
    for data in (request("abce"), RESPONSE, DTLS, rtp(1), rtcp(1)):
        assert candidates.heard(data, other, 0.0) is None
    assert candidates.heard(RESPONSE, ("192.0.2.9", 4001), 0.0) == "response"  # it may have been checked
    assert candidates.heard(DTLS, ("192.0.2.9", 4001), 0.0) is None
    for data, kind in ((RESPONSE, "response"), (DTLS, "dtls"), (rtp(1), "rtp"), (rtcp(1), "rtcp")):
        assert candidates.heard(data, PEER, 0.0) == kind
    assert candidates.heard(request("nobody"), PEER, 0.0) == "request"  # aioice looks at it


def test_an_offered_address_that_answers_is_the_peers():
    """Also if it never asks, as an agent of ICE lite does not."""
    there = ("192.0.2.9", 4001)
    candidates = RemoteCandidates(NAME, [there])
    candidates.prove(there)
    candidates.prove(PEER)  # which is none of its addresses
    assert candidates.heard(DTLS, there, 0.0) == "dtls"
    assert candidates.heard(DTLS, PEER, 0.0) is None


@pytest.mark.parametrize(
    "host", ["169.254.169.254", "169.254.1.1", "fe80::1", "224.0.0.1", "ff02::1", "::ffff:a9fe:a9fe"]
)
def test_an_address_that_nothing_of_ours_connects_to_is_not_the_peers(host: str):
    """However right the password is: nothing is sent there."""
    candidates = RemoteCandidates(NAME)
    assert not candidates.accept((host, 4000), REQUEST_BYTES)
    assert not candidates.may_send((host, 4000), RESPONSE_BYTES, 0.0, is_check=False)
    assert len(candidates) == 0


def test_link_local_peers_are_allowed_on_request():
    """As link-local cameras are."""
    candidates = RemoteCandidates(NAME, link_local=True)
    assert candidates.accept(("169.254.1.1", 4000), REQUEST_BYTES)
    assert not candidates.accept(("169.254.169.254", 4000), REQUEST_BYTES)


def test_an_offer_fills_half_of_the_room():
    """The peer's other addresses show themselves; the same address twice is one."""
    offered = [("192.0.2.9", 4000 + n // 2) for n in range(100)]
    candidates = RemoteCandidates(NAME, offered)
    assert len(candidates) == MAX_OFFERED == 16
    accepted = [candidates.accept(("198.51.100.7", port), REQUEST_BYTES) for port in range(1024, 1124)]
    assert accepted == [True] * (MAX_CANDIDATES - MAX_OFFERED) + [False] * 84
    assert len(candidates) == MAX_CANDIDATES == 32
    assert candidates.accept(offered[0], REQUEST_BYTES)
    assert candidates.heard(request(), ("203.0.113.1", 4000), 0.0) is None  # no room: not even read
    assert candidates.heard(request(), offered[3], 0.0) == "request"


def test_an_address_without_proof_gets_a_multiple_of_what_it_sent():
    """An answer and two checks for a request; an offered one gets a few checks before; with proof there is no limit."""
    candidates = known(("192.0.2.9", 4001))
    assert candidates.may_send(PEER, RESPONSE_BYTES, 0.0, is_check=False)
    assert [candidates.may_send(PEER, CHECK_BYTES, 0.0, is_check=True) for _ in range(7)] == [True] * 2 + [False] * 5
    assert candidates.accept(PEER, REQUEST_BYTES)
    assert candidates.may_send(PEER, FACTOR * REQUEST_BYTES, 0.0, is_check=False)
    checks = [candidates.may_send(("192.0.2.9", 4001), CHECK_BYTES, 1.0, is_check=True) for _ in range(7)]
    assert checks == [True] * (OFFERED_BYTES // CHECK_BYTES) + [False] * 2
    candidates.prove(PEER)
    assert all(candidates.may_send(PEER, 1000, 2.0, is_check=False) for _ in range(100))
    assert not candidates.may_send(("203.0.113.1", 4000), 1, 2.0, is_check=False)


def test_a_refused_message_costs_no_allowance():
    """Else addresses that may get nothing more would keep the peer's own from being checked."""
    candidates = known()
    candidates.prove(PEER)
    candidates.accept(("192.0.2.2", 1), 20)
    for _ in range(10 * CHECKS_PER_S):
        assert not candidates.may_send(("192.0.2.2", 1), CHECK_BYTES, 5.0, is_check=True)
    sent = [candidates.may_send(PEER, CHECK_BYTES, 5.0, is_check=True) for _ in range(CHECKS_PER_S + 5)]
    assert sent == [True] * CHECKS_PER_S + [False] * 5
    assert candidates.may_send(PEER, RESPONSE_BYTES, 5.0, is_check=False)  # an answer is no check
    assert candidates.may_send(("192.0.2.2", 1), 20, 5.0, is_check=False)  # what was refused was not counted


@pytest.mark.parametrize("make", [rtp, rtcp])
def test_few_streams_are_read(make):
    """Of ten thousand sources the first, then one in five seconds: a library keeps a record for each that it sees."""
    candidates = known()
    read = [ssrc for ssrc in range(10_000) if candidates.heard(make(ssrc), PEER, ssrc / 10)]
    assert read[:MAX_STREAMS] == list(range(MAX_STREAMS))
    assert 1000 / NEW_STREAM_S <= len(read) - MAX_STREAMS <= 1 + 1000 / NEW_STREAM_S


FORGED = st.lists(st.tuples(st.integers(1, 40), st.integers(0, MAX_STREAMS - 1)), max_size=60)
"""Datagrams of other sources: the number of the first one, and how many sources send one each."""


@pytest.mark.parametrize("make", [rtp, rtcp])
@given(st.sets(st.integers(1, 60)) | st.sets(st.integers(1, 60), min_size=MAX_STREAMS), FORGED)
@examples(500)
def test_forged_sources_keep_no_peer_out(make, before, between):
    """However many came before the peer's first, and come between its own, which are more: it is read ever after."""
    candidates, now = known(), 0.0
    for ssrc in before:
        now += 0.01
        candidates.heard(make(ssrc), PEER, now)
    now += NEW_STREAM_S
    for first, count in [*between, (1, 1)]:
        now += 0.5
        assert all(candidates.heard(make(0), PEER, now) for _ in range(3))
        for ssrc in range(first, first + count):
            candidates.heard(make(ssrc), PEER, now)


@given(st.lists(st.tuples(st.integers(0, 99), st.floats(0, 2)), max_size=300))
@examples(500)
def test_new_sources_are_few_in_any_time(events):
    """At most MAX_STREAMS, and one more in five seconds."""
    streams, now, read = RtpSources(), 0.0, []
    for ssrc, passed in events:
        now += passed
        if streams.heard(bytes([ssrc]), now):
            read.append(ssrc)
    assert len(set(read)) <= MAX_STREAMS + 1 + now / NEW_STREAM_S


@pytest.mark.parametrize(
    ("data", "kind"),
    [(request(), "request"), (RESPONSE, "response"), (DTLS, "dtls"), (rtp(1), "rtp"), (rtcp(1), "rtcp")],
)
def test_each_kind_has_a_rate_of_its_own(data: bytes, kind: str):
    """A flood of one kind keeps none of the others out."""
    candidates = known()
    heard = [candidates.heard(data, PEER, 3.0) for _ in range(PER_S[kind] + 10)]
    assert heard == [kind] * PER_S[kind] + [None] * 10
    for other, its in ((request(), "request"), (RESPONSE, "response"), (DTLS, "dtls"), (rtp(1), "rtp")):
        assert its == kind or candidates.heard(other, PEER, 3.0) == its


HOSTS = ["192.0.2.1", "198.51.100.7", "2001:db8::7", "169.254.169.254", "224.0.0.1"]
SOURCES = st.tuples(st.sampled_from(HOSTS), st.integers(1024, 1100))
EVENTS = st.lists(
    st.tuples(
        st.sampled_from(["valid", "wrong", "named wrong", "answer", "garbage", "check", "again"]),
        SOURCES,
        st.sampled_from([0.0, 0.0, 0.0, 0.001, 0.02, 0.5, 4.0]),
        st.integers(20, LARGEST_STUN),
    ),
    max_size=300,
)


@examples(1_000)
@given(st.lists(SOURCES, max_size=40), EVENTS)
def test_an_attack_in_any_order_costs_little_and_hits_nobody(offered, events):
    """Few addresses, few checks, few answers to whoever proved nothing; and the peer itself is heard all the while.

    The offer's addresses were judged before (`with_addresses_only`), so those that are refused are none of it.
    """
    offered = [one for one in offered if one[0] in HOSTS[:3]]
    candidates, now = RemoteCandidates(NAME, offered), 100.0
    received, sent, proved = Counter(), Counter(), set()
    strangers, checks, own = [], [], ("203.0.113.5", 5000)
    assert candidates.accept(own, REQUEST_BYTES)
    candidates.prove(own)
    assert candidates.heard(rtp(1), own, now) == "rtp"
    for what, source, step, size in events:
        now += step
        if what in {"valid", "wrong", "named wrong"}:
            data = request(NAME if what != "named wrong" else "zzzz", max(size, 40))
            was_known = received[source] > 0 or source in proved
            if candidates.heard(data, source, now) == "request":
                assert was_known or what != "named wrong"
                strangers += [] if was_known else [now]
                if what == "valid" and candidates.accept(source, len(data)):
                    received[source] += len(data)
                    if candidates.may_send(source, RESPONSE_BYTES, now, is_check=False):
                        sent[source] += RESPONSE_BYTES
        elif what in {"check", "again"} and candidates.may_send(source, CHECK_BYTES, now, is_check=True):
            sent[source] += CHECK_BYTES
            checks.append(now)
        elif what == "answer" and sent[source] and candidates.heard(RESPONSE, source, now):
            candidates.prove(source)
            proved.add(source)
        elif what == "garbage":
            for data in (DTLS, rtp(size), b"\xff" * size):
                assert candidates.heard(data, source, now) is None or received[source] or source in proved
        assert len(candidates) <= MAX_CANDIDATES
        if source not in proved:
            credit = OFFERED_BYTES if source in offered else 0
            assert sent[source] <= FACTOR * received[source] + credit
        assert not (sent[source] and source[0] in {"169.254.169.254", "224.0.0.1"})
    for times, per_s in ((strangers, STRANGERS_PER_S), (checks, CHECKS_PER_S)):
        for first, begin in enumerate(times):
            assert all(n + 1 <= per_s * (1 + at - begin) + 1 for n, at in enumerate(times[first:]))
    assert candidates.heard(rtp(1), own, now + 1) == "rtp"
    assert candidates.heard(request(), own, now + 1) == "request"


@examples(20, 20)
@given(st.permutations(range(20)), st.floats(0, 0.001))
def test_twenty_thousand_ports(order, step):
    """The attack that was found, whatever ports come first: 32 addresses, and the rest is dropped unread."""
    candidates, now, read = RemoteCandidates(NAME), 0.0, 0
    for block in order:
        for port in range(1025 + block * 1000, 2025 + block * 1000):
            now += step
            if candidates.heard(request(), ("192.0.2.1", port), now):
                read += 1
                candidates.accept(("192.0.2.1", port), REQUEST_BYTES)
    assert (len(candidates), read) == (MAX_CANDIDATES, MAX_CANDIDATES)
    assert candidates.refused == 20_000 - MAX_CANDIDATES
