"""A legal profile is one row: services.sites.profiles."""

import ast
import re
from itertools import pairwise
from pathlib import Path
from typing import get_args

import pytest

import chart_profiles
from proto.types import Profile
from services.sites.profiles import ALERTING, PROFILES, TRIAL, USUAL, Terms, any_lasting, any_trial

ROOT = Path(__file__).parents[3]
HERE = "services/sites/profiles.py"


NAMED = re.compile(rf"(?<![\w-])({'|'.join(PROFILES)})(?![\w-])")
A_SETTING = re.compile(r"^ *profile: [\w-]+$", re.MULTILINE)
"""The chart's own sites, the self-test's and the try-out's, have a profile as any site has."""
TEXTS = {".js", ".json", ".html", ".po", ".tpl", ".yaml", ".css", ".txt"}


def words(file: Path) -> set[str]:
    """The profiles that a file names: a module in its texts, docstrings aside, any other file anywhere."""
    if file.suffix != ".py":
        return set(NAMED.findall(A_SETTING.sub("", file.read_text("utf-8"))))
    nodes = list(ast.walk(ast.parse(file.read_text("utf-8"))))
    described = {id(node.value) for node in nodes if isinstance(node, ast.Expr)}
    texts = [node for node in nodes if isinstance(node, ast.Constant) and id(node) not in described]
    return {name for text in texts if isinstance(text.value, str) for name in NAMED.findall(text.value)}


def test_each_profile_of_the_contract_has_a_row():
    """In order: each publishes no more than the one before."""
    assert set(PROFILES) == set(get_args(Profile))
    for laxer, stricter in pairwise(PROFILES.values()):
        assert laxer.min_window_s <= stricter.min_window_s
        assert (laxer.zones, laxer.rules, laxer.cameras) >= (stricter.zones, stricter.rules, stricter.cameras)
        assert laxer.small <= stricter.small or stricter.figures is not None


@pytest.mark.parametrize("folder", ["services", "operate", "testbed", "moretta", "k8s/moretta/templates"])
def test_no_other_module_names_one(folder: str):
    """Whatever asks the row leaks no new profile: no sentence, template, script or catalogue has a name of its own."""
    every = {".py", *TEXTS}
    files = [file for file in (ROOT / folder).rglob("*") if file.suffix in every and file != ROOT / HERE]
    assert len(files) > 9
    found = {str(file.relative_to(ROOT)): words(file) & set(PROFILES) for file in files}
    assert {file: names for file, names in found.items() if names} == {}


def test_the_charts_file_is_up_to_date():
    """`make contracts` writes it: the chart refuses what services refuse."""
    assert (ROOT / "k8s/moretta/files" / chart_profiles.FILE).read_text("utf-8") == chart_profiles.text()


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
