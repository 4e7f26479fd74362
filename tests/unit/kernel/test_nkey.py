"""nkeys: NATS's own form of Ed25519 keys; a slip of the pen is noticed, and no error shows the seed."""

import base64

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from hypothesis import given
from hypothesis import strategies as st

from services.bus.nkey import RIGHT, Seed

# Of the documentation of NATS: https://docs.nats.io/running-a-nats-service/configuration/securing_nats/auth_intro/nkey_auth
SEED = "SUACSSL3UAHUDXKFSNVUZRF5UHPMWZ6BFDTJ7M6USDXIEDNPPQYYYCU3VY"
PUBLIC = "UDXU4RCSJNZOIQHZNWXHXORDPRTGNJAHAHFRGZNEEJCPQTT2M7NLCNF4"


def test_the_form_is_natss():
    """A seed and its public key as NATS's own tool made them; fresh ones have the same form."""
    assert Seed(SEED).public == PUBLIC
    assert Seed(f" {SEED}\n") == Seed(SEED)
    fresh = Seed.new()
    assert (Seed(fresh.reveal()).public, len(fresh.reveal())) == (fresh.public, len(SEED))
    assert SEED not in repr(Seed(SEED))


@given(st.text(max_size=40))
def test_what_is_signed_is_checked_by_the_public_key(nonce: str):
    """The server has the public key only."""
    raw = base64.b32decode(PUBLIC)[1:33]
    Ed25519PublicKey.from_public_bytes(raw).verify(base64.b64decode(Seed(SEED).sign(nonce)), nonce.encode())


@given(at=st.integers(0, len(SEED) - 2), letter=st.sampled_from("ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"))
def test_one_wrong_letter_is_noticed(at: int, letter: str):
    """By the check sum, which PyPI's nkeys does not look at."""
    wrong = SEED[:at] + letter + SEED[at + 1 :]
    if wrong == SEED:
        return
    with pytest.raises(ValueError) as caught:
        Seed(wrong)
    assert str(caught.value) == RIGHT


@pytest.mark.parametrize("text", ["", "hunter2", PUBLIC, SEED[:-1], SEED + "A", SEED.lower(), SEED + "=", "é" * 58])
def test_what_is_no_seed(text: str):
    """Another kind of key, a part of one, or nothing like it; the error never quotes it."""
    with pytest.raises(ValueError) as caught:
        Seed(text)
    assert str(caught.value) == RIGHT
