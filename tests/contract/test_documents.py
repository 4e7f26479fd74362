"""What documents for whoever carries on say of the code: files that are there, functions that are in them."""

import ast
import re
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
import yaml

ROOT = Path(__file__).parents[2]
DOCUMENTS = ["docs/architecture.md", "docs/adding.md", "docs/releasing.md", "CONTRIBUTING.md", "SECURITY.md"]
FOLDERS = r"(?:\.ci|\.github|bench|docs|k8s|proto|requirements|services|tests)"
NAMED = re.compile(rf"`({FOLDERS}/[\w./-]+)`((?:\s`[\w.]+`)*)")
PATTERNS = {"tests/contract/released/VERSION", "docs/adr/NNNN-name.md"}
"""Names in which a part stands for something else."""
TARGET = re.compile(r"`(?:[A-Z_]+=\S+ )*make ([a-z -]+?)`")


def text_of(name: str) -> str:
    return (ROOT / name).read_text("utf-8")


def defined(tree: ast.AST, prefix: str = "") -> set[str]:
    """Return the classes, functions and methods of a module, methods as `Class.method`."""
    found = set()
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            found |= {prefix + node.name, *defined(node, f"{prefix}{node.name}.")}
    return found


@pytest.mark.parametrize("document", DOCUMENTS)
def test_what_a_document_names_is_there(document: str):
    """Each file is in the repository, and each function behind a file's name is in that file."""
    lost = []
    for name, functions in NAMED.findall(text_of(document)):
        if not (ROOT / name).exists() and name not in PATTERNS:
            lost.append(name)
        elif functions:
            known = defined(ast.parse(text_of(name)))
            lost += [f"{name}: {one}" for one in functions.replace("`", "").split() if one not in known]
    assert not lost


def test_the_house_is_as_it_is_drawn():
    """Each folder and file of the architecture's plan, and each file that its text calls by its last name alone."""
    text = text_of("docs/architecture.md")
    plan = re.search(r"^## The house\n+```\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    assert plan
    places = re.findall(r"(?<![\w/])([a-z0-9_]+(?:/|\.py))(?![\w/])", plan[1])
    files = {path for folder in ("services", "proto", "bench", "k8s") for path in (ROOT / folder).rglob("*")}
    known = {f"{path.name}/" if path.is_dir() else path.name for path in files} | {
        "services/",
        "proto/",
        "bench/",
        "k8s/",
    }
    assert len(places) > 30
    assert set(places) - known == set()
    assert set(re.findall(r"`([a-z_]+\.py)`", text)) - known == set()


def test_both_trips_are_told_step_by_step_as_they_are_drawn():
    """The drawing's numbers and letters are the tables', and it names only files that the tables name at that step."""
    drawn = ET.parse(ROOT / "docs/pictures/architecture.svg").iter("{http://www.w3.org/2000/svg}text")
    words = [element.text or "" for element in drawn]
    steps = dict(re.findall(r"^\| ([1-9A-H]) \| (.*)$", text_of("docs/architecture.md"), re.MULTILINE))
    assert list(steps) == list("123456789ABCDEFGH")
    for step, told in steps.items():
        at = len(words) - 1 - words[::-1].index(step)
        files = [word for word in words[at : at + 3] if word.endswith(".py")]
        assert len(NAMED.findall(told)) > 0
        assert all(f"/{name}`" in told for name in files)


def test_the_commands_that_are_named_are_the_makefiles():
    """No document sends anybody to a command that there isn't."""
    targets = set(re.findall(r"^([a-z-]+):", text_of("Makefile"), re.MULTILINE))
    named = {target for name in DOCUMENTS for told in TARGET.findall(text_of(name)) for target in told.split()}
    assert named
    assert named <= targets


def test_the_forms_for_issues_are_such():
    """Each has what GitHub asks of a form, and none asks for a picture, an address or a password to be pasted."""
    folder = ROOT / ".github/ISSUE_TEMPLATE"
    forms = {path.stem: yaml.safe_load(path.read_text("utf-8")) for path in folder.glob("*.yml")}
    assert set(forms) == {"bug", "camera", "config", "privacy"}
    assert forms.pop("config")["blank_issues_enabled"] is False
    for form in forms.values():
        assert {"name", "description", "body"} <= form.keys()
        fields = [part for part in form["body"] if part["type"] != "markdown"]
        assert len({part["id"] for part in fields}) == len(fields) > 2
        assert "password" in str(form["body"][0]).lower()
