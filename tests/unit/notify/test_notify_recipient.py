"""Who is told, and under which name that is recorded."""

from hypothesis import given
from hypothesis import strategies as st

from services.notify.core.recipient import Receiver, default_salt, digest, recipients

SALT = b"0123456789abcdef"
STAFF = Receiver("staff", ("anna@example.org", "bob@example.org"), frozenset({"forville"}))
EVERYWHERE = Receiver("office", ("carl@example.org",), frozenset())


def test_a_receiver_without_sites_gets_all_sites():
    """`sites` narrows; its absence means everywhere."""
    assert [r.address for r in recipients([STAFF, EVERYWHERE], "station", SALT)] == ["carl@example.org"]
    assert len(recipients([STAFF, EVERYWHERE], "forville", SALT)) == 3


def test_no_repr_shows_an_address():
    """What ends in a traceback or a log by accident has no address."""
    shown = repr([STAFF, *recipients([STAFF], "forville", SALT)])
    assert "@" not in shown
    assert "anna" not in shown


@given(st.emails(), st.emails())
def test_a_digest_names_one_mailbox(one: str, other: str):
    """The same mailbox has the same digest in any case; another one has another."""
    assert digest(SALT, "staff", one) == digest(SALT, "staff", one.upper().lower())
    if one.lower() != other.lower():
        assert digest(SALT, "staff", one) != digest(SALT, "staff", other)


def test_a_digest_depends_on_salt_and_receiver():
    """Without the salt an address can't be checked, and two receivers' records can't be joined."""
    address = "anna@example.org"
    values = {digest(SALT, "staff", address), digest(SALT, "office", address), digest(b"x" * 16, "staff", address)}
    assert len(values) == 3
    assert all(len(value) == 64 for value in values)


def test_the_default_salt_is_the_same_after_a_restart():
    """What was sent is known again, or a restart would send everything twice."""
    assert default_salt("Alerts@example.org") == default_salt("alerts@example.org")
    assert default_salt("alerts@example.org") != default_salt("other@example.org")
