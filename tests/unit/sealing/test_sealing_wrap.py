"""Handing keys to workers: services.frames.sealing.wrap."""

import itertools

import msgspec
import pytest
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from services.frames.sealing import wrap as sut
from services.frames.sealing.keys import FrameKey
from services.frames.sealing.seal import SealError
from services.frames.sealing.wrap import announce, is_genuine, unwrap_key, wrap_key

AT = 1_795_537_200_000_000_000
IDENTITY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
TRUSTED = (IDENTITY.public_key(),)
INGEST = Ed25519PrivateKey.from_private_bytes(bytes(range(32, 64)))
PRIVATE = X25519PrivateKey.from_private_bytes(bytes(range(1, 33)))
PUBLIC = PRIVATE.public_key().public_bytes_raw()
KEY_ID = b"8 bytes."
FRAME_KEY = bytearray(b"the frame key of this one second")
KEY = FrameKey(KEY_ID, FRAME_KEY, None, 0)
LOW_ORDER = [bytes(32), (1).to_bytes(32, "little")]
"""Points that give every exchange the result zero (RFC 7748, section 6.1)."""


def said(**changes):
    """A genuine announcement, then changed."""
    return msgspec.structs.replace(announce(IDENTITY, "cannes", "box-1", PUBLIC, AT), **changes)


def flip(data, bit):
    changed = bytearray(data)
    changed[bit // 8] ^= 1 << bit % 8
    return bytes(changed)


def test_a_genuine_announcement():
    """What the inference identity signed is genuine."""
    assert is_genuine(TRUSTED, said())


def test_an_announcement_of_another_identity_is_forged():
    """Only the configured identity counts."""
    assert not is_genuine([Ed25519PrivateKey.generate().public_key()], said())


@pytest.mark.parametrize(
    "change",
    [
        {"site": "lyon"},
        {"site": "canne", "worker": "sbox-1"},
        {"worker": "box-2"},
        {"at": AT + 1},
        {"at": 0},
        {"public_key": bytes(32)},
        {"signature": bytes(64)},
    ],
)
def test_a_changed_announcement_is_forged(change):
    """Site, worker, key and time are all signed, and letters can't be moved between site and worker."""
    assert not is_genuine(TRUSTED, said(**change))


@given(bit=st.integers(0, 511))
def test_any_changed_bit_of_the_signature_is_forged(bit):
    """Ed25519 is not malleable here."""
    assert not is_genuine(TRUSTED, said(signature=flip(said().signature, bit)))


@given(at=st.integers(0, 2**64 - 1), site=st.from_regex(r"\A[a-z0-9]{1,32}\Z"))
def test_any_time_and_site_can_be_announced(at, site):
    """No value that the contract allows breaks the signing."""
    assert is_genuine(TRUSTED, announce(IDENTITY, site, "w", PUBLIC, at))


def test_the_worker_unwraps_the_key():
    """The key arrives, in memory that can be overwritten."""
    got = unwrap_key(PRIVATE, wrap_key(INGEST, KEY, said()))
    assert got == FRAME_KEY
    assert isinstance(got, bytearray)


def test_wrapping_leaves_the_key_alone():
    """The frame key's own memory is neither changed nor wiped by handing it out."""
    wrap_key(INGEST, KEY, said())
    assert KEY.secret == b"the frame key of this one second"


@pytest.mark.parametrize(("site", "worker"), [("lyon", "box-1"), ("cannes", "box-2")])
def test_the_wrapping_key_is_of_one_site_and_one_worker(site, worker):
    """With the same private key and the same associated data, another site's or worker's derivation opens nothing."""
    message = wrap_key(INGEST, KEY, said())
    names = sut._names("cannes", "box-1")
    own, other = (
        sut._cipher(PRIVATE, message.ephemeral, PUBLIC + KEY_ID + bound) for bound in (names, sut._names(site, worker))
    )
    assert own.decrypt(bytes(12), message.wrapped, names) == FRAME_KEY
    with pytest.raises(InvalidTag):
        other.decrypt(bytes(12), message.wrapped, names)


def test_versions_may_be_mixed():
    """A worker of before gets keys wrapped as before; a worker of now opens what an ingest of before wraps."""
    before = said(names=False)
    message = wrap_key(INGEST, KEY, before)
    names = sut._names("cannes", "box-1")
    older = sut._cipher(PRIVATE, message.ephemeral, PUBLIC + KEY_ID)
    assert older.decrypt(bytes(12), message.wrapped, names) == FRAME_KEY
    assert unwrap_key(PRIVATE, message) == FRAME_KEY
    assert is_genuine(TRUSTED, before), "whoever does not know the field can check the signature"
    assert said().names


def test_a_worker_with_another_private_key_cannot_unwrap():
    """A key is for one worker only, also when a second process took its name."""
    other = X25519PrivateKey.generate()
    with pytest.raises(SealError, match="not made for this worker"):
        unwrap_key(other, wrap_key(INGEST, KEY, said()))


@pytest.mark.parametrize(
    "change",
    [
        {"site": "lyon"},
        {"site": "canne", "worker": "sbox-1"},
        {"worker": "box-2"},
        {"key": b"8 other."},
        {"age": 1},
        {"waited": 1},
        {"age": 3, "waited": 2},
        {"ephemeral": bytes(32)},
        {"wrapped": bytes(48)},
        {"signature": bytes(64)},
    ],
)
def test_a_changed_key_message_is_forged(change):
    """All of it is signed: neither the key nor how old it is can be changed, and nobody else's key is taken."""
    message = wrap_key(INGEST, KEY, said(), age=2, waited=3)
    assert is_genuine([IDENTITY.public_key(), INGEST.public_key()], message)
    assert not is_genuine([IDENTITY.public_key()], message)
    assert not is_genuine([INGEST.public_key()], msgspec.structs.replace(message, **change))


def test_the_two_kinds_of_signatures_are_apart():
    """One identity may play both parts without a signature of one kind being taken for the other."""
    message = wrap_key(IDENTITY, KEY, said(), age=AT)
    worker = said(public_key=message.ephemeral, signature=message.signature)
    assert is_genuine(TRUSTED, message)
    assert not is_genuine(TRUSTED, worker)


def test_each_wrapping_is_different():
    """The same key wrapped twice shares no byte run: nobody sees that it is the same."""
    one, two = (wrap_key(INGEST, KEY, said()) for _ in range(2))
    assert one.ephemeral != two.ephemeral
    assert not {one.wrapped[i : i + 8] for i in range(40)} & {two.wrapped[i : i + 8] for i in range(40)}
    for message in (one, two):
        assert bytes(FRAME_KEY[:8]) not in msgspec.msgpack.encode(message)


@pytest.mark.parametrize("change", [{"site": "lyon"}, {"worker": "box-2"}, {"key": b"8 other."}])
def test_a_key_under_another_name_is_refused(change):
    """Site, worker and key id are bound to the wrapped key."""
    changed = msgspec.structs.replace(wrap_key(INGEST, KEY, said()), **change)
    with pytest.raises(SealError) as refused:
        unwrap_key(PRIVATE, changed)
    assert FRAME_KEY.decode() not in repr(refused.value)


@given(bit=st.integers(0, 48 * 8 - 1))
def test_any_changed_bit_of_a_wrapped_key_is_refused(bit):
    """A changed key is no key."""
    message = wrap_key(INGEST, KEY, said())
    with pytest.raises(SealError):
        unwrap_key(PRIVATE, msgspec.structs.replace(message, wrapped=flip(message.wrapped, bit)))


@given(bit=st.integers(0, 254))
def test_any_changed_bit_of_the_ephemeral_key_is_refused(bit):
    """The highest bit of an X25519 key is not part of it (RFC 7748, section 5); every other one is."""
    message = wrap_key(INGEST, KEY, said())
    with pytest.raises(SealError):
        unwrap_key(PRIVATE, msgspec.structs.replace(message, ephemeral=flip(message.ephemeral, bit)))


@pytest.mark.parametrize("point", LOW_ORDER)
def test_keys_that_share_no_secret_are_refused(point):
    """A point of low order would make the wrapping key known to all: neither side uses it, and neither breaks."""
    with pytest.raises(SealError, match="shares no secret"):
        wrap_key(INGEST, KEY, said(public_key=point))
    message = msgspec.structs.replace(wrap_key(INGEST, KEY, said()), ephemeral=point)
    with pytest.raises(SealError, match="shares no secret"):
        unwrap_key(PRIVATE, message)


def test_names_cannot_be_shifted():
    """A site and a worker joined by the slash of the authenticated names stay two names: no id has a slash."""
    pattern = msgspec.inspect.type_info(type(said()))
    sites = {field.name: field.type for field in pattern.fields}
    for name, text in itertools.product(("site", "worker"), ("a/b", "/", "a/")):
        with pytest.raises(msgspec.ValidationError):
            msgspec.convert(msgspec.to_builtins(said()) | {name: text}, type(said()))
    assert {"site", "worker"} <= set(sites)
