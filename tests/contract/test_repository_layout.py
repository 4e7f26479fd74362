"""What is where: the kernel's modules, and what lies at the top of the repository."""

import re
import subprocess
from pathlib import Path

import msgspec
import pytest

from schemas import public_schemas
from subjects_table import markdown

ROOT = Path(__file__).parents[2]
KERNEL = [
    *("app.py", "build.py", "clock.py", "faults.py", "listener.py", "log.py", "probes.py"),
    *("process.py", "rate_limited_log.py", "settings", "tls", "tracing"),
]
"""How a service runs; anything else that two of them need is a domain noun with a decision of its own."""
SHARED = ["bus", "charts", "destinations.py", "frames", "kernel", "leases", "privacy", "sandbox", "sites", "statistics"]
SERVICES = ["aggregate", "inference", "ingest", "notify"]
TOP = {
    *(
        ".ci",
        ".gitignore",
        "bench",
        "CHANGELOG.md",
        "docs",
        "k8s",
        "LICENSE",
        "Makefile",
        "modelling",
        "NOTICE",
        "operate",
        "testbed",
        "moretta",
    ),
    *("proto", "pyproject.toml", "README.md", "requirements", "services", "tests", "tools"),
    *(
        "CONTRIBUTING.md",
        "SECURITY.md",
        ".github",
    ),  # where GitHub looks for them, and so whoever wants to help or to warn
    "compose.yaml",  # where Docker's compose and podman-compose look for it
}


def tracked() -> list[str]:
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=False)
    if listed.returncode:
        pytest.skip("not a checkout")
    return listed.stdout.splitlines()


def below(folder: str) -> list[str]:
    return sorted(
        {path.removeprefix(f"{folder}/").split("/")[0] for path in tracked() if path.startswith(f"{folder}/")}
    )


def test_the_kernel():
    """The kernel is these modules, and services holds nothing but it, the services, and what they share."""
    assert below("services/kernel") == sorted(["__init__.py", *KERNEL])
    assert below("services") == sorted(["__init__.py", *SHARED, *SERVICES])


def test_the_top_of_the_repository():
    """No top-level entry but those that people look for."""
    assert {path.split("/")[0] for path in tracked()} <= TOP


def test_no_module_without_a_subject():
    """No utils, common or helpers; tests are no package."""
    names = {Path(path).stem for path in tracked() if path.endswith(".py")}
    parts = {part for path in tracked() for part in Path(path).parts[:-1]}
    assert not (names | parts) & {"utils", "util", "common", "helpers", "helper", "misc"}
    assert not [path for path in tracked() if path.startswith("tests/") and path.endswith("__init__.py")]


def test_the_docs_schemas_are_the_types():
    """What other systems read in docs/schemas is what is sent."""
    files = {path.stem: msgspec.json.decode(path.read_bytes()) for path in (ROOT / "docs/schemas").iterdir()}
    assert files == public_schemas()


def test_the_table_of_rights_is_the_table():
    """What people read of who may do what is what the server is told."""
    assert (ROOT / "docs/subjects.md").read_text(encoding="utf-8") == markdown()


def anchor(heading: str) -> str:
    """A heading's anchor, as GitHub makes it."""
    return re.sub(r"[^\w\- ]", "", heading.strip().lower()).replace(" ", "-")


def test_links_between_documents_lead_somewhere():
    """Every relative link names a file that is there, and every anchor a heading of it: a lost section is noticed."""
    documents = {ROOT / path: (ROOT / path).read_text(encoding="utf-8") for path in tracked() if path.endswith(".md")}
    headings = {path: re.findall(r"^#+ (.*)$", text, re.MULTILINE) for path, text in documents.items()}
    anchors = {path: {anchor(one) for one in found} for path, found in headings.items()}
    lost = []
    for path, text in documents.items():
        for link in re.findall(r"\]\((?!https?:)([^)\s]+)\)", text):
            name, _, part = link.partition("#")
            target = (path.parent / name).resolve() if name else path
            if not target.exists() or (part and part not in anchors[target]):
                lost.append(f"{path.relative_to(ROOT)}: {link}")
    assert not lost
