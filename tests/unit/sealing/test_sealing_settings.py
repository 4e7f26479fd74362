"""The section `sealing`: services.frames.sealing.settings."""

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from services.frames.sealing.settings import SealingSettings
from services.frames.sealing.wrap import announce, is_genuine
from services.kernel.settings import Secret

SEED = bytes(range(32))
PUBLIC = Ed25519PrivateKey.from_private_bytes(SEED).public_key().public_bytes_raw()


def test_a_pair_of_keys_works_together():
    """What the signing key signs the verify key checks."""
    settings = SealingSettings(signing_key=Secret(SEED.hex()), verify_key=Secret(PUBLIC.hex()))
    assert is_genuine(settings.trusted(), announce(settings.private(), "s", "w", bytes(32), 1))


@pytest.mark.parametrize("text", ["", "  \n", "00" * 31, "00" * 33, "zz" * 32, "é" * 64, "0x" + "00" * 31])
@pytest.mark.parametrize(("name", "method"), [("signing_key", "private"), ("verify_key", "trusted")])
def test_a_wrong_key_is_one_line_without_the_key(name, method, text):
    """The error names the setting and what would be right, and never shows what was given."""
    with pytest.raises(ValueError) as refused:
        getattr(SealingSettings(**{name: Secret(text)}), method)()
    message = str(refused.value)
    assert message == f"sealing.{name} is no Ed25519 key; `sealing.{name}_file` names a file with 64 hexadecimal digits"


@pytest.mark.parametrize(("name", "method"), [("signing_key", "private"), ("verify_key", "trusted")])
def test_a_missing_key_is_one_line(name, method):
    """The error says which setting is missing and what to write."""
    with pytest.raises(ValueError) as refused:
        getattr(SealingSettings(), method)()
    assert str(refused.value) == (
        f"sealing.{name} is missing; `sealing.{name}_file` names a file with 64 hexadecimal digits"
    )


def test_an_identity_can_be_replaced_while_both_are_valid():
    """The file of keys that are trusted may have a line for each; that of our own key has one."""
    other = Ed25519PrivateKey.generate()
    both = f"{PUBLIC.hex()}\n{other.public_key().public_bytes_raw().hex()}\n"
    trusted = SealingSettings(verify_key=Secret(both)).trusted()
    for key in (Ed25519PrivateKey.from_private_bytes(SEED), other):
        assert is_genuine(trusted, announce(key, "s", "w", bytes(32), 1))
    for settings in (SealingSettings(verify_key=Secret(both + "00")), SealingSettings(verify_key=Secret(both * 5))):
        with pytest.raises(ValueError, match=r"sealing\.verify_key is no Ed25519 key"):
            settings.trusted()
    with pytest.raises(ValueError, match=r"sealing\.signing_key is no Ed25519 key"):
        SealingSettings(signing_key=Secret(both)).private()


def test_keys_do_not_show_themselves():
    """Neither in a log line nor in an error."""
    settings = SealingSettings(signing_key=Secret(SEED.hex()))
    assert SEED.hex() not in repr(settings)
