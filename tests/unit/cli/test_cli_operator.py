"""Who gives an order: operate.orders."""

import os

import pytest

from operate.orders import operator_name
from services.kernel.settings import SettingsError


@pytest.fixture(name="nameless")
def _nameless(monkeypatch):
    """An account as containers have it: no entry in passwd, and nothing in the environment."""
    for name in ("LOGNAME", "USER", "LNAME", "USERNAME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(os, "getuid", lambda: 2**31 - 7)


def test_an_account_without_a_name_is_told_what_to_give(nameless):
    """One line, and no traceback."""
    with pytest.raises(SettingsError, match=r"^moretta: --operator: is missing, .*; give the name of whoever"):
        operator_name()


def test_the_name_has_letters_that_the_audit_takes(nameless, monkeypatch):
    """The others become underscores, and it has 64 at most."""
    monkeypatch.setenv("LOGNAME", "DOMAIN\\ana müller " + "x" * 64)
    assert operator_name() == "DOMAIN_ana_m_ller_" + "x" * 46
