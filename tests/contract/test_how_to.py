"""The pages of docs/how-to: short, with commands and values that there are, and with the tests that they rest on."""

import ast
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from shell_lines import complaint, lines_of, values_set

ROOT = Path(__file__).parents[2]
PAGES = sorted((ROOT / "docs/how-to").glob("*.md"))
VALUES = yaml.safe_load((ROOT / "k8s/moretta/values.yaml").read_text("utf-8"))
MAX_WORDS = 420
FREE = ("settings.", "nats.streams.")
"""Below these a user's own names stand."""
_PATH = re.compile(rf"`((?:{'|'.join(VALUES)})(?:\.[A-Za-z]+)+)`")
_FILES = re.compile(r"\.(yaml|conf|crt|key|nk|py|md)$")


def words(text: str) -> int:
    """Return how many words one reads: no command, no address, none of the last lines."""
    told = re.split(r"^Tested: ", text, maxsplit=1, flags=re.MULTILINE)[0]
    told = re.sub(r"^```.*?^```", "", told, flags=re.MULTILINE | re.DOTALL)
    told = re.sub(r"\]\([^)]*\)", "]", re.sub(r"`[^`]*`", "X", told))
    return len(re.findall(r"[A-Za-z0-9][\w'-]*", told))


def exists(path: str) -> bool:
    """Whether the chart has a value of this path."""
    found: Any = VALUES
    for key in path.split("."):
        if not isinstance(found, dict) or key not in found:
            return isinstance(found, dict) and not found and path.startswith(FREE)
        found = found[key]
    return True


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_each_command_line_is_one(page: Path):
    """Commands, options and arguments of `moretta` as it parses them; of helm and kubectl as a list has them."""
    found = list(lines_of(page.read_text("utf-8")))
    assert len(found) >= 6
    assert [told for one in found if (told := complaint(one))] == []


def test_the_values_that_are_checked_are_those_that_helm_gets():
    """Of an upgrade: digests in a file of their own, or keys, would be missing in the check alone."""
    lines = list(lines_of((ROOT / "docs/how-to/upgrade.md").read_text("utf-8")))
    checked = {
        line[at + 1] for line in lines if line[1:2] == ["check-config"] for at, w in enumerate(line) if w == "--values"
    }
    upgraded = {
        line[at + 1] for line in lines if line[:2] == ["helm", "upgrade"] for at, w in enumerate(line) if w == "-f"
    }
    assert upgraded <= checked
    text = (ROOT / "docs/operations.md").read_text("utf-8").partition("### Which files helm gets")[2]
    assert set(re.findall(r"^\| `-f ([^`]+)` \|", text.partition("\n### ")[0], re.MULTILINE)) == {
        *checked,
        "build/values-digests.yaml",
    }


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_each_value_is_one_of_the_chart_s(page: Path):
    """In the text, and behind `--set`."""
    text = page.read_text("utf-8")
    named = {path for path in _PATH.findall(text) if not _FILES.search(path)}
    named |= {path for line in lines_of(text) for path in values_set(line)}
    assert [path for path in named if not exists(path)] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_each_page_is_short_and_says_what_was_tried(page: Path):
    """One task, a table of steps, and last the tests by name and what only a cluster can show."""
    text = page.read_text("utf-8")
    assert words(text) <= MAX_WORDS
    assert "what you see |" in text
    [tested] = re.findall(r"^Tested: (.*); not tried on a cluster: .*\.", text, re.MULTILINE)
    files = re.findall(r"`(tests/[\w/]+\.py)`((?: `\w+`)+)", tested)
    assert files
    for file, names in files:
        there = {one.name for one in ast.walk(ast.parse((ROOT / file).read_text("utf-8"))) if hasattr(one, "name")}
        assert set(re.findall(r"`(\w+)`", names)) <= there, file


def test_a_wrong_line_is_noticed():
    """The tests above can fail."""
    wrong = ["moretta backup -c FILE", "moretta nats rotat DIR all", "moretta restore DIR -c F --replaced"]
    wrong += ["helm upgrade moretta k8s/moretta --force-everything", "kubectl -n masks scale deployment --replica 0"]
    for line in wrong:
        [found] = lines_of(f"`{line}`")
        assert complaint(found), line
    assert not exists("nats.replica")
    assert exists("nats.tls.routesSecret")
