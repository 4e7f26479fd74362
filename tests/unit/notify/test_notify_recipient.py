"""Who is told, and under which name that is recorded."""

from hypothesis import given
from hypothesis import strategies as st
from messages import delivery

from services.notify.recipient import Receiver, default_salt, digest, named, recipients, salt_name

SALT = b"0123456789abcdef"
STAFF = Receiver("staff", (("email", "anna@example.org"), ("sms", "+33612345678")))


def test_everyone_of_a_receiver_is_told_by_each_channel():
    """In the order of the settings, each under a digest of its own and a name that tells neither."""
    anna, phone = recipients(STAFF, SALT)
    assert [(one.channel, one.address) for one in (anna, phone)] == list(STAFF.addresses)
    assert anna.digest != phone.digest
    assert anna.name == f"staff-{anna.digest[:8]}"


def test_no_repr_shows_an_address():
    """What ends in a traceback or a log by accident has no address."""
    shown = repr([STAFF, *recipients(STAFF, SALT)])
    assert "@" not in shown
    assert "anna" not in shown
    assert "336" not in shown


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


def test_who_fails_together():
    """Whom one server takes messages for has its name; each webhook is a server of its own. No name has an address."""
    hooks = (("webhook", "https://one.example/"), ("webhook", "https://other.example/"))
    anna, ben, one, other = recipients(Receiver("staff", (("email", "a@x.org"), ("email", "b@x.org"), *hooks)), SALT)
    assert anna.server == ben.server == "email"
    assert one.server == f"webhook-{one.digest[:8]}" != other.server
    assert anna.place == ("staff", "email", "a@x.org") != ben.place


def test_a_record_names_a_recipient_without_an_address():
    """Its name is that of who was told, and the address is not there."""
    [anna, _] = recipients(STAFF, SALT)
    found = named(delivery(recipient_sha256=anna.digest))
    assert (found.name, found.server, found.address) == (anna.name, "email", "")


def test_a_salt_has_a_name_that_does_not_tell_it():
    """The same salt has the same name, another one another; 16 hexadecimal digits."""
    assert salt_name(SALT) == salt_name(SALT) != salt_name(b"x" * 16)
    assert len(bytes.fromhex(salt_name(SALT))) == 8
