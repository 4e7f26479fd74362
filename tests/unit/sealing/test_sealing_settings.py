"""The section `sealing`: services.sealing.settings."""

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from services.sealing.settings import SealingSettings
from services.sealing.wrap import announce, is_genuine
from services.settings import Secret

SEED = bytes(range(32))
PUBLIC = Ed25519PrivateKey.from_private_bytes(SEED).public_key().public_bytes_raw()


def test_a_pair_of_keys_works_together():
    """What the signing key signs the verify key checks."""
    settings = SealingSettings(signing_key=Secret(SEED.hex()), verify_key=Secret(PUBLIC.hex()))
    assert is_genuine(settings.public(), announce(settings.private(), "s", "w", bytes(32), 1))


@pytest.mark.parametrize("text", ["", "00" * 31, "00" * 33, "zz" * 32, "é" * 64, "0x" + "00" * 31])
@pytest.mark.parametrize(("name", "method"), [("signing_key", "private"), ("verify_key", "public")])
def test_a_wrong_key_is_one_line_without_the_key(name, method, text):
    """The error names the setting and what would be right, and never shows what was given."""
    with pytest.raises(ValueError) as refused:
        getattr(SealingSettings(**{name: Secret(text)}), method)()
    message = str(refused.value)
    assert message == f"sealing.{name} is no Ed25519 key; `sealing.{name}_file` names a file with 64 hexadecimal digits"


@pytest.mark.parametrize(("name", "method"), [("signing_key", "private"), ("verify_key", "public")])
def test_a_missing_key_is_one_line(name, method):
    """The error says which setting is missing and what to write."""
    with pytest.raises(ValueError) as refused:
        getattr(SealingSettings(), method)()
    assert str(refused.value) == (
        f"sealing.{name} is missing; `sealing.{name}_file` names a file with 64 hexadecimal digits"
    )


def test_keys_do_not_show_themselves():
    """Neither in a log line nor in an error."""
    settings = SealingSettings(signing_key=Secret(SEED.hex()))
    assert SEED.hex() not in repr(settings)
