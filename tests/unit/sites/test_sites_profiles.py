"""A legal profile is one row: services.sites.profiles."""

import ast
from itertools import pairwise
from pathlib import Path
from typing import get_args

import pytest

from proto.types import Profile
from services.sites.profiles import ALERTING, PROFILES, TRIAL, USUAL, Terms, any_lasting, any_trial

ROOT = Path(__file__).parents[3]
HERE = "services/sites/profiles.py"


def words(file: Path) -> set[str]:
    """The texts of a module that are nothing but one word of ours."""
    nodes = ast.walk(ast.parse(file.read_text("utf-8")))
    return {node.value for node in nodes if isinstance(node, ast.Constant) and isinstance(node.value, str)}


def test_each_profile_of_the_contract_has_a_row():
    """In order: each publishes no more than the one before."""
    assert set(PROFILES) == set(get_args(Profile))
    for laxer, stricter in pairwise(PROFILES.values()):
        assert laxer.min_window_s <= stricter.min_window_s
        assert (laxer.zones, laxer.rules, laxer.cameras) >= (stricter.zones, stricter.rules, stricter.cameras)
        assert laxer.small <= stricter.small or stricter.figures is not None


@pytest.mark.parametrize("folder", ["services", "operate"])
def test_no_other_module_names_one(folder: str):
    """All other modules ask the row, so a new profile leaks nowhere."""
    files = [file for file in (ROOT / folder).rglob("*.py") if file != ROOT / HERE]
    found = {str(file.relative_to(ROOT)): words(file) & set(PROFILES) for file in files}
    assert {file: names for file, names in found.items() if names} == {}


def test_what_the_named_ones_are_for():
    """Trials bind nobody, what a site gets that names none has no rules, and rules are tried where they may fire."""
    assert (PROFILES[TRIAL].is_trial, PROFILES[USUAL].rules, PROFILES[ALERTING].rules) == (True, False, True)
    assert [profile for profile in PROFILES if PROFILES[profile].is_trial] == [TRIAL]
    assert PROFILES[TRIAL] == Terms("trial", notice=PROFILES[TRIAL].notice)


@pytest.mark.parametrize("profile", PROFILES)
def test_a_site_is_for_trials_or_not(profile: Profile):
    """Of several the one that is meant to last counts for the sandbox, and the trial for what is told."""
    assert any_trial([profile]) is (profile == TRIAL)
    assert any_lasting([profile, TRIAL]) is (profile != TRIAL)
    assert (any_trial([]), any_lasting([])) == (False, False)
