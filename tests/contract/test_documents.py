"""What documents for whoever carries on say of the code: files that are there, functions that are in them."""

import ast
import re
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
import yaml

from operate.cli.notify.trial import example
from operate.proof.proof import SECONDS_OF_WORK
from operate.proof.report import WORDS
from proto.public import AlertV1
from services.inference.errors import read_errors
from services.inference.model import MODELS, load_model
from services.ingest.core import ice
from services.sites.figures import Rates, rates
from services.sites.measurement import Judged

ROOT = Path(__file__).parents[2]
DOCUMENTS = ["docs/architecture.md", "docs/adding.md", "docs/releasing.md", "CONTRIBUTING.md", "SECURITY.md"]
FOLDERS = r"(?:\.ci|\.github|bench|docs|k8s|modelling|operate|proto|requirements|services|tests|tools)"
NAMED = re.compile(rf"`({FOLDERS}/[\w./-]+)`((?:\s`[\w.]+`)*)")
PATTERNS = {"tests/contract/released/VERSION", "docs/adr/NNNN-name.md"}
"""Names in which a part stands for something else."""
TARGET = re.compile(r"`(?:[A-Z_]+=\S+ )*make ([a-z -]+?)`")


def text_of(name: str) -> str:
    return (ROOT / name).read_text("utf-8")


def section(document: str, heading: str) -> str:
    """Return what stands under a heading of the second order."""
    found = re.search(rf"^## {re.escape(heading)}\n(.*?)(?=^## |\Z)", text_of(document), re.MULTILINE | re.DOTALL)
    assert found, f"{document} has no {heading}"
    return found[1]


def figures(text: str) -> list[str]:
    """Return the numbers of a text as they are written, not those in names such as p99 and 1080p25."""
    return re.findall(r"(?<![\w.-])\d+(?: \d{3})*(?:\.\d+)?(?!\w)", re.sub(r"\(.*?\)|`.*?`", "", text))


def has(document: str, figure: str) -> bool:
    return re.search(rf"(?<![\w.]){re.escape(figure)}(?!\w|\.\d)", text_of(document)) is not None


def cited(text: str) -> str:
    """Return the document that a text links to first."""
    return re.findall(r"\]\(([\w./-]+\.md)", text)[0]


def rows_of(document: str, under: str) -> list[list[str]]:
    """Return the cells of a table's rows, found by words of its head."""
    table = re.search(rf"^\|[^\n]*{re.escape(under)}[^\n]*\n\|[-|: ]+\n((?:\|.*\n)+)", text_of(document), re.MULTILINE)
    assert table, f"{document} has no table {under}"
    return [[cell.strip() for cell in line.strip("|").split(" |")] for line in table[1].splitlines()]


def defined(tree: ast.AST, prefix: str = "") -> set[str]:
    """Return the classes, functions and methods of a module, methods as `Class.method`."""
    found = set()
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            found |= {prefix + node.name, *defined(node, f"{prefix}{node.name}.")}
    return found


def test_each_number_that_the_readme_promises_is_in_the_document_that_it_cites():
    """What was measured, and the limits: whoever measures anew sees that README.md tells the old figures."""
    promises = [line.strip("|").split(" | ") for line in section("README.md", "The promise, measured").splitlines()[3:]]
    told = [(measured, cited(where)) for _, measured, where in filter(len, promises[:4])]
    told += [(one, cited(one)) for one in section("README.md", "Limits").split("\n- ") if ".md" in one]
    pairs = [(figure, document) for text, document in told for figure in figures(text)]
    assert len(pairs) >= 12
    assert [pair for pair in pairs if not has(pair[1], pair[0])] == []


def test_the_readme_s_capacity_is_the_bench_s():
    """The same figures as in the rows of capacity.md that they are of: the newest, and the fastest."""
    newest = {
        row[1]: (row[4].removesuffix(" ms"), row[2]) for row in rows_of("docs/capacity.md", "| stream | cameras |")
    }
    p99, cameras = newest["1920x1080, 25"]
    assert f"p99 {p99} ms with {cameras} cameras at 1080p25" in text_of("README.md")
    rows = {row[0]: row[2] for row in rows_of("docs/capacity.md", "row | target | found")}
    cameras, p99 = re.findall(r"^(\d+) .*?at \1 p99 (\d+) ms", rows["cameras at 1080p25"])[0]
    half = re.findall(r"/ ([\d.]+) ms", rows["half load: p50 / p99"])[0]
    assert f"p99 {p99} ms with {cameras} cameras at 1080p25 on two cores, {half} ms at half load" in text_of(
        "README.md"
    )


def _share(cell: str) -> float:
    return float(cell.removesuffix(" %"))


def test_the_readme_s_figures_of_the_model_are_the_model_card_s():
    """Right, missed, off, and badly worn masks taken for good ones: reckoned from the card's own tables."""
    card = "services/inference/models/MODEL_CARD.md"
    found = {row[0]: row[1:] for row in rows_of(card, "| mask right |")[:2]}
    elsewhere = rows_of(card, "| recall, masked | recall, bare |")
    worn = [row[1].split(" of ") for row in rows_of(card, "| incorrect faces said not to be masked |")]
    missed = [round(100 - float(row[3].removesuffix(" %"))) for row in found.values()]
    wrong = [f"{int(all_) - int(right)} of {all_}" for right, all_ in worn[:2]]
    readme = " ".join(text_of("README.md").split())
    *_, true, said, _ = max(elsewhere, key=lambda row: abs(_share(row[11]) - _share(row[12])))
    assert f"{true} of the faces were masked, and it said {said}" in readme
    right, masked = ([_share(row[place]) for row in elsewhere if row[place] != "-"] for place in (8, 5))
    assert f"{min(right)} to {max(right)} % of the faces found" in readme
    assert f"{min(masked)} to {max(masked)} % of the masked ones" in readme
    assert f"{missed[0]} and {missed[1]} % of the faces were not found" in readme
    assert f"of badly worn masks {wrong[0]} and {wrong[1]} were taken for good ones" in readme


def _with_errors(masked: int, people: int) -> Rates:
    """Return the rate of so many masked of so many judged people, with the shipped model's errors in its interval."""
    return rates(masked, [Judged(people, read_errors(MODELS, load_model().sha256))])


def test_the_intervals_that_are_told_are_those_of_the_shipped_model():
    """A rule's example in operations.md, and the invented alert of `moretta notify test`, which fires."""
    ends = [_with_errors(masked, 100).interval or () for masked in (55, 65)]
    low, high = (" to ".join(f"{round(100 * end)} %" for end in pair) for pair in ends)
    assert f"55 % of 100 people ({low}) is below 70 %, 65 % ({high}) is not yet" in text_of("docs/operations.md")
    alert = example("staff", "market", 0).notices[0].message
    assert isinstance(alert, AlertV1)
    told = _with_errors(83, alert.persons)
    assert (alert.rate, alert.interval, alert.sampling_interval) == (told.rate, told.interval, told.sampling_interval)
    assert alert.interval[1] < alert.fire_below


@pytest.mark.parametrize("document", ["README.md", "docs/privacy.md"])
def test_who_promises_how_long_a_picture_lives_says_of_how_many(document: str):
    """It is 99 of 100 (p99), wherever the promise is told in short, the drawing included."""
    text = text_of(document)
    told = [
        text[max(0, at.start() - 160) : at.end() + 60] for at in re.finditer(r"at most\s100 ms", text, re.IGNORECASE)
    ]
    assert len(told) > 1
    assert [one for one in told if "99 of 100" not in one] == []


@pytest.mark.parametrize(
    ("document", "bound"),
    [
        ("docs/data-protection.md", "for each period, how many lived longer at most"),
        ("services/ingest/page/en.json", "How many at most were slower in a period"),
        ("services/ingest/page/fr.json", "Pour chaque période, le nombre maximal d’images plus lentes"),
    ],
)
def test_of_late_pictures_an_upper_bound_is_published(document: str, bound: str):
    """And not their number: it would follow the crowd (ADR 40)."""
    assert bound in text_of(document)
    assert not re.search(
        r"measured(?:, shown below)? and published|mesuré(?:, affiché plus bas)? et publié", text_of(document)
    )


def test_the_officer_is_told_that_a_pause_is_public_at_once():
    """As `CameraV1.since` is: in the summary, under Art. 21, and among the risks."""
    assert "public at once" in section("docs/data-protection.md", "In one minute")
    (objects,) = (row for row in rows_of("docs/data-protection.md", "| evidence |") if row[0] == "21")
    assert "publishes" in objects[2]
    risks = [row for row in rows_of("docs/data-protection.md", "what remains |") if "when somebody objected" in row[0]]
    assert [row[1] for row in risks] == ["a pause at fixed hours, or one that lasts longer than the person's way"]


def test_the_officer_is_told_the_command_against_a_thief():
    """`rotate` leaves the stolen key in force until `retire`."""
    risks = [row for row in rows_of("docs/data-protection.md", "what remains |") if "taken over" in row[0]]
    assert [("replace" in row[2], "rotate" in row[2]) for row in risks] == [(True, False)]


def test_the_officer_is_told_how_to_see_what_is_black():
    """No page of Moretta's shows a camera's picture: a still comes from the camera itself."""
    asked = section("docs/data-protection.md", "What to check before you sign")
    assert "`ffmpeg -i URL -frames:v 1 still.jpg`" in asked
    assert "Look at its picture" not in text_of("docs/data-protection.md")


def test_the_proof_says_what_to_do_when_pictures_lived_too_long():
    """The words are the verdict's own, and the pictures are those of its usual time."""
    told = section("docs/privacy.md", "Repeat the proof")
    assert WORDS["too long"] in told
    assert f"the usual {SECONDS_OF_WORK:g} seconds" in told
    assert "Keep that report, too" in told


def test_the_officer_is_asked_whether_the_cameras_record_elsewhere():
    """The sign speaks of Moretta alone."""
    asked = section("docs/data-protection.md", "What to check before you sign")
    assert "If the cameras record elsewhere, say so beside the sign" in asked


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
        for folder in ("proto", "services", "operate", "bench", "modelling", "tests", ".ci")
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
    tops = ("services", "operate", "proto", "bench", "k8s", "modelling", "tools")
    files = {path for folder in tops for path in (ROOT / folder).rglob("*")}
    known = {f"{path.name}/" if path.is_dir() else path.name for path in files} | {f"{top}/" for top in tops}
    assert len(places) > 30
    assert set(places) - known == set()
    rooms = {f"{path.parent.name}/" for top in ("services", "operate") for path in (ROOT / top).glob("*/__init__.py")}
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
        ice.MOST_CANDIDATES,
        ice.MOST_OFFERED,
        ice.STRANGERS_PER_S,
        ice.CHECKS_PER_S,
        ice.MOST_STREAMS,
        int(ice.NEW_STREAM_S),
    ]
    assert {str(one) for one in [*kinds, *own, ice.FACTOR, ice.OFFERED_BYTES]} <= set(re.findall(r"\d+", told))
