"""`make release` in a repository of its own: what it refuses, what it makes, and that it makes the same again."""

import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
from datetime import UTC, datetime
from pathlib import Path

import pytest
from lacking import lacks

pytestmark = pytest.mark.xdist_group("release")
HERE = Path(__file__).parents[3]
HELM = HERE / "build/tools/helm-4.1/helm"
VERSION = "0.1.0"
FROZEN = f"tests/contract/released/{VERSION}"
SIGNED = {f"GIT_{who}_{what}": "release@example.org" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}


def git(folder: Path, *arguments: str) -> str:
    command = ["git", "-c", "core.hooksPath=/dev/null", *arguments]
    return subprocess.run(
        command, cwd=folder, check=True, capture_output=True, text=True, env=os.environ | SIGNED
    ).stdout


def release(folder: Path, into: str = "dist", umask: int = 0o022) -> subprocess.CompletedProcess[str]:
    if not HELM.exists():
        lacks("helm is needed: `make chart` gets it")
    command = [sys.executable, ".ci/release", into, str(HELM)]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=110, umask=umask, check=False)


def delivered(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in (folder / "dist").iterdir()}


@pytest.fixture(name="repository")
def _repository(tmp_path: Path, tree: Path) -> Path:
    """A test's own copy of it."""
    return shutil.copytree(tree, tmp_path / "repository", symlinks=True)


@pytest.fixture(name="tree", scope="module")
def _tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """This tree as a repository of one commit, at version 0.1.0, in which nothing was released."""
    folder = tmp_path_factory.mktemp("release") / "repository"
    listed = git(HERE, "ls-files", "-z", "--cached", "--others", "--exclude-standard").split("\0")
    for name in (name for name in listed if name and (HERE / name).exists()):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes((HERE / name).read_bytes())
        (folder / name).chmod((HERE / name).stat().st_mode)
    for name in ("pyproject.toml", "k8s/moretta/Chart.yaml", "docs/asyncapi.json"):
        text = (folder / name).read_text()
        text = re.sub(r'^(version = "|version: |appVersion: )[\d.]+', rf"\g<1>{VERSION}", text, flags=re.MULTILINE)
        (folder / name).write_text(re.sub(r'("version": ?")[\d.]+"', rf'\g<1>{VERSION}"', text, count=1))
    changes = (folder / "CHANGELOG.md").read_text()
    changes = re.sub(rf"^## \[{VERSION}\].*\n", "", changes, flags=re.MULTILINE)
    (folder / "CHANGELOG.md").write_text(changes.replace("## [Unreleased]", f"## [{VERSION}] - 2026-11-30", 1))
    git(folder, "init", "-q", "-b", "main")
    git(folder, "add", "-A")
    if (folder / FROZEN).exists():
        git(folder, "rm", "-rq", FROZEN)
    git(folder, "commit", "-qm", "A tree to release")
    return folder


def test_what_stands_in_the_way_is_told_at_once_and_nothing_is_made(repository: Path):
    """Uncommitted files, no heading, other versions elsewhere, a version that was released: each with what to do."""
    changes, chart = repository / "CHANGELOG.md", repository / "k8s/moretta/Chart.yaml"
    changes.write_text(changes.read_text().replace(f"[{VERSION}] - 2026-11-30", "[Unreleased]"))
    chart.write_text(chart.read_text().replace(f"appVersion: {VERSION}", "appVersion: 0.0.9"))
    (repository / FROZEN).mkdir(parents=True)  # git sees no empty folder
    done = release(repository)
    assert (done.returncode, done.stdout, (repository / "dist").exists()) == (2, "", False)
    assert [line.removeprefix(f"release {VERSION}: ") for line in done.stderr.splitlines()] == [
        "2 files are not committed, such as CHANGELOG.md: commit or remove them",
        f"{FROZEN} is there: {VERSION} was released; give a new version in pyproject.toml",
        f"CHANGELOG.md has no heading '## [{VERSION}] - YEAR-MONTH-DAY': name what was Unreleased so",
        f"k8s/moretta/Chart.yaml appVersion is 0.0.9: it has to be {VERSION}",
    ]


def test_a_folder_that_holds_anything_else_is_not_emptied(repository: Path):
    """The checkout itself, a release with a file beside it, a link, a file: refused, and all is there as it was."""
    (repository / "dist").mkdir()
    (repository / "dist/SHA256SUMS").write_text(f"{'0' * 64}  moretta.whl\n")
    (repository / "dist/moretta.whl").touch()
    (repository / "dist/thesis.txt").touch()
    (repository / "build").symlink_to("dist")
    before = sorted(repository.rglob("*"))
    why = {
        ".": ". would be emptied, and .ci in it is no release's: name a new folder",
        "dist": "dist would be emptied, and thesis.txt in it is no release's: name a new folder",
        "build": "build is no folder: name a new one",
        "README.md": "README.md is no folder: name a new one",
    }
    for into, reason in why.items():
        done = release(repository, into)
        assert (done.returncode, done.stdout) == (2, "")
        assert f"release {VERSION}: {reason}" in done.stderr.splitlines()
    assert sorted(repository.rglob("*")) == before


@pytest.mark.timeout(400)
def test_a_release_is_whole_and_anybody_can_make_the_same_from_its_tag(repository: Path, tmp_path: Path):
    """All files with their checksums; the contract is frozen; a clone of the tag gives the same bytes."""
    done = release(repository)
    assert done.returncode == 0, done.stderr
    made = delivered(repository)
    names = ("aggregate", "box", "inference", "ingest", "notify")
    bills = [f"moretta-{VERSION}-{name}.cdx.json" for name in names]
    locks = {f"moretta-{VERSION}-{name}.requirements.txt": (HERE / f"requirements/{name}.txt") for name in names}
    assert made.keys() == {
        *(f"moretta-{VERSION}-py3-none-any.whl", f"moretta-{VERSION}.tar.gz", f"moretta-chart-{VERSION}.tgz"),
        *(f"moretta-contracts-{VERSION}.tar.gz", f"moretta-{VERSION}-licences.md", "SHA256SUMS", *bills),
        *locks,
    }
    subprocess.run(["sha256sum", "--check", "--strict", "SHA256SUMS"], cwd=repository / "dist", check=True)
    assert len(made["SHA256SUMS"].splitlines()) == len(made) - 1
    # Of no system (RFC 1952: 255 is unknown), so that Python's version doesn't matter; hatchling writes the epoch.
    packed = {name: data[4:10] for name, data in made.items() if name.endswith("gz")}
    stamp = int(datetime(2026, 11, 30, tzinfo=UTC).timestamp()).to_bytes(4, "little")
    assert packed.pop(f"moretta-{VERSION}.tar.gz") == stamp + b"\2\xff"
    assert set(packed.values()) == {bytes(4) + b"\2\xff"}
    assert all(made[name] == lock.read_bytes() for name, lock in locks.items())
    assert all(json.loads(made[name])["metadata"]["component"]["version"] == VERSION for name in bills)
    with tarfile.open(repository / f"dist/moretta-contracts-{VERSION}.tar.gz") as contracts:
        names, times = set(contracts.getnames()), {entry.mtime for entry in contracts}
    assert times == {datetime(2026, 11, 30, tzinfo=UTC).timestamp()}  # the day of the CHANGELOG's heading
    schemas = {f"docs/schemas/{path.name}" for path in (HERE / "docs/schemas").iterdir()}
    assert {"docs/asyncapi.json", "docs/subjects.md", *schemas} <= names
    changed = git(repository, "status", "--porcelain", "-uall").split()[1::2]
    assert {str(Path(name).parent) for name in changed} == {FROZEN}
    git(repository, "add", "-A")
    git(repository, "commit", "-qm", f"Moretta {VERSION}")
    assert release(repository).returncode == 2
    git(repository, "tag", f"v{VERSION}")
    clone = tmp_path / "elsewhere"
    git(tmp_path, "clone", "-q", str(repository), str(clone))
    (clone / "dist").mkdir()
    (clone / "dist/SHA256SUMS").write_bytes(b"")  # an earlier release's, which makes room
    again = release(clone, umask=0o077)
    assert again.returncode == 0, again.stderr
    assert delivered(clone) == made
    assert git(clone, "status", "--porcelain") == ""
