"""What documents for whoever carries on say of the code: files that are there, functions that are in them."""

import ast
import re
from xml.etree import ElementTree as ET

import pytest
import yaml
from documents import ROOT, rows_of, text_of

from services.ingest.core import ice

DOCUMENTS = ["docs/architecture.md", "docs/adding.md", "docs/releasing.md", "CONTRIBUTING.md", "SECURITY.md"]
FOLDERS = r"(?:\.ci|\.github|bench|docs|k8s|modelling|moretta|operate|proto|requirements|services|testbed|tests|tools)"
NAMED = re.compile(rf"`({FOLDERS}/[\w./-]+)`((?:\s`[\w.]+`)*)")
PATTERNS = {"tests/contract/released/VERSION", "docs/adr/NNNN-name.md"}
"""Names in which a part stands for something else."""
TARGET = re.compile(r"`(?:[A-Z_]+=\S+ )*make ([a-z -]+?)`")


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


GONE = re.compile(
    r"nats-config|nats-streams|--(?:server-tls|websocket off|page-open|remove-reader|rotate|retire)\b|eval-counts"
)
"""Commands and options that there are no more."""


def test_no_document_names_a_command_that_is_gone():
    """An operator with a stolen key types the command that the document shows."""
    files = [
        *ROOT.glob("*.md"),
        *ROOT.glob("docs/*.md"),
        *ROOT.glob("docs/how-to/*.md"),
        *ROOT.glob("docs/recipes/*"),
        *ROOT.glob("k8s/moretta/*.md"),
    ]
    found = {file.name: GONE.findall(file.read_text("utf-8")) for file in files if file.is_file()}
    assert {name: words for name, words in found.items() if words} == {}


def test_what_the_code_refers_to_is_in_the_repository():
    """Each ADR and document that a comment or docstring names; nothing that only its writers had."""
    records = {int(file.name[:4]) for file in (ROOT / "docs/adr").glob("*.md")}
    wrong = []
    for file in (
        file
        for folder in ("proto", "services", "operate", "testbed", "moretta", "bench", "modelling", "tests", ".ci")
        for file in (ROOT / folder).rglob("*.py")
    ):
        text = file.read_text("utf-8")
        named = {int(number) for number in re.findall(r"\bADR (\d+)", re.sub(r"NATS ADR|NATS's ADR", "", text))}
        missing = [name for name in re.findall(r"\((docs/[\w/-]+\.md)\)", text) if not (ROOT / name).exists()]
        wrong += [f"{file.relative_to(ROOT)}: {what}" for what in (*(named - records), *missing)]
        wrong += [f"{file.relative_to(ROOT)}: {found}" for found in re.findall(r"design \xa7|\bfacts\.md", text)]
    assert wrong == []


def test_the_house_is_as_it_is_drawn():
    """Each folder and file of the architecture's plan, and each file that its text calls by its last name alone."""
    text = text_of("docs/architecture.md")
    plan = re.search(r"^## The house\n+```\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    assert plan
    places = re.findall(r"(?<![\w/])([a-z0-9_]+(?:/|\.py))(?![\w/])", plan[1])
    tops = ("services", "operate", "testbed", "moretta", "proto", "bench", "k8s", "modelling", "tools")
    files = {path for folder in tops for path in (ROOT / folder).rglob("*")}
    known = {f"{path.name}/" if path.is_dir() else path.name for path in files} | {f"{top}/" for top in tops}
    assert len(places) > 30
    assert set(places) - known == set()
    rooms = {
        f"{path.parent.name}/"
        for top in ("services", "operate", "testbed")
        for path in (ROOT / top).glob("*/__init__.py")
    }
    assert rooms - set(places) == set()
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
        within = {path.split("/", 2)[-1] for path in re.findall(r"`([\w/]+\.py)`", told)}  # of its service
        assert within
        assert set(files) - within == set()


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


def test_the_limits_of_a_peer_are_the_code_s():
    """ADR 13 has each number that `services.ingest.core.ice` has."""
    told = " ".join(limit for _, limit in rows_of("docs/adr/0013-peers-decode-like-cameras.md", "what | limit"))
    kinds = [ice.PER_S[kind] for kind in ("request", "dtls", "rtcp", "rtp")]
    own = [
        ice.MAX_CANDIDATES,
        ice.MAX_OFFERED,
        ice.STRANGERS_PER_S,
        ice.CHECKS_PER_S,
        ice.MAX_STREAMS,
        int(ice.NEW_STREAM_S),
    ]
    assert {str(one) for one in [*kinds, *own, ice.FACTOR, ice.OFFERED_BYTES]} <= set(re.findall(r"\d+", told))
