"""What is kept of releases was not touched: by its checksums, by the CHANGELOG, by git's tags."""

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from golden import encodings
from kept import FOLDER, SUMS, changed_since, checksum, damage, releases, tagged, unmatched, untold
from lacking import lacks
from released import add

ROOT = FOLDER.parents[2]
CHANGELOG = (ROOT / "CHANGELOG.md").read_text("utf-8")


def test_no_release_was_touched():
    """By their checksums, and by the CHANGELOG, which names every version."""
    assert [*damage()] == []
    assert [*unmatched(CHANGELOG)] == []


def test_releases_are_as_they_were_tagged():
    """Where git has the tags: whoever changes files and checksums alike is seen here alone."""
    assert [one for tag in tagged(ROOT) for one in changed_since(tag, ROOT)] == []
    if why := untold(ROOT, [release.name for release in releases()]):
        lacks(why)


@pytest.fixture(name="folder")
def _folder(tmp_path: Path) -> Path:
    """Two releases of the present contract."""
    add("0.1.0", tmp_path / "released")
    return add("0.2.0", tmp_path / "released").parent


Touch = Callable[[Path], object]
TOUCHED: dict[str, Touch] = {
    "0.1.0/WindowV1.json: was changed": lambda f: (f / "0.1.0/WindowV1.json").write_bytes(b"{}"),
    "0.1.0/schemas.json: was changed": lambda f: (f / "0.1.0/schemas.json").write_text("{}"),
    "0.1.0/subjects.json: is gone": lambda f: (f / "0.1.0/subjects.json").unlink(),
    "0.2.0/more.json: was added": lambda f: (f / "0.2.0/more.json").write_text("{}"),
    "0.2.0/../0.1.0/SHA256SUMS: is gone": lambda f: shutil.rmtree(f / "0.1.0"),
    "0.2.0/SHA256SUMS: is gone": lambda f: [path.unlink() for path in (f / "0.2.0").iterdir()],
}


@pytest.mark.parametrize(("said", "touch"), TOUCHED.items(), ids=TOUCHED)
def test_what_was_touched_is_named(said: str, touch: Touch, folder: Path):
    """A golden message, a schema, a file more or less, a whole release, and a folder without its files."""
    touch(folder)
    assert [*damage(folder)] == [said]


def test_checksums_that_were_made_new_are_told_by_the_next_release(folder: Path):
    """Who changes a golden message and its checksum alike has to rewrite every later release, too."""
    rewrite(folder / "0.1.0")
    assert [*damage(folder)] == ["0.2.0/../0.1.0/SHA256SUMS: was changed"]


def rewrite(release: Path) -> None:
    """Change a golden message, and its checksum with it."""
    golden, sums = release / "WindowV1.json", release / SUMS
    before = checksum(golden)
    golden.write_bytes(golden.read_bytes() + b" ")
    sums.write_text(sums.read_text().replace(before, checksum(golden)))


def test_the_changelog_names_what_was_released(folder: Path):
    """A version without its folder, the newest as well, and a folder without its heading."""
    text = "## [Unreleased]\n\n## [0.2.0] - 2026-12-01\n\n## [0.1.0] - 2026-11-30\n"
    assert [*unmatched(text, folder)] == []
    shutil.rmtree(folder / "0.2.0")
    assert [*unmatched(text, folder)] == ["0.2.0: the CHANGELOG has it, and what it promised is gone"]
    assert [*unmatched("## [0.2.0]", folder)][1:] == ["0.1.0: it was released, and the CHANGELOG lacks it"]


def git(repository: Path, *arguments: str) -> None:
    who = ("-c", "user.name=Release", "-c", "user.email=release@example.org", "-c", "core.hooksPath=/dev/null")
    subprocess.run(["git", *who, *arguments], cwd=repository, check=True, capture_output=True)


def test_the_tag_tells_what_nothing_else_can(folder: Path):
    """The newest release with new checksums, or gone with its heading; a later release is no change of a tag's."""
    repository, inside = folder.parent, folder.name
    git(repository, "init", "-q")
    git(repository, "add", f"{inside}/0.1.0")
    git(repository, "commit", "-qm", "0.1.0")
    git(repository, "tag", "v0.1.0")
    git(repository, "tag", "v0.3.0")
    git(repository, "add", "-A")
    git(repository, "commit", "-qm", "0.2.0")
    git(repository, "switch", "-qc", "another-line")
    git(repository, "commit", "-qm", "0.1.1", "--allow-empty")
    git(repository, "tag", "v0.1.1")
    git(repository, "switch", "-q", "-")
    assert tagged(repository) == ["v0.1.0", "v0.3.0"]
    assert [*changed_since("v0.1.0", repository, folder)] == []
    assert [*changed_since("v0.3.0", repository, folder)] == [f"v0.3.0: {inside}/0.3.0 is not in it"]
    rewrite(folder / "0.1.0")
    told = [f"v0.1.0: {inside}/0.1.0/{name} is not as it was" for name in (SUMS, "WindowV1.json")]
    assert [*changed_since("v0.1.0", repository, folder)] == told
    git(repository, "rm", "-rqf", f"{inside}/0.1.0")
    git(repository, "commit", "-qm", "As if it had never been")
    assert len([*changed_since("v0.1.0", repository, folder)]) == len(encodings()) + 3


def test_where_the_tags_tell_nothing_it_is_said(folder: Path, tmp_path: Path):
    """An unpacked archive, a shallow clone, one without tags; not the newest release, which is about to be tagged."""
    versions, elsewhere = [release.name for release in releases(folder)], tmp_path / "elsewhere"
    assert (tagged(tmp_path), untold(tmp_path, [])) == ([], None)
    assert str(untold(tmp_path, versions)).endswith("has no git history: git fetch --tags --unshallow")
    git(tmp_path, "init", "-q")
    git(tmp_path, "commit", "-qm", "before", "--allow-empty")
    git(tmp_path, "commit", "-qm", "0.1.0", "--allow-empty")
    assert untold(tmp_path, versions) == "git has no v0.1.0, v0.2.0 here: git fetch --tags"
    git(tmp_path, "tag", "v0.1.0")
    assert untold(tmp_path, versions) is None
    git(tmp_path, "clone", "-q", "--depth", "1", f"file://{tmp_path}", str(elsewhere))
    assert str(untold(elsewhere, versions)).endswith("--unshallow")


def test_releases_of_another_line_have_their_tags(tmp_path: Path):
    """Maintenance releases are tagged where they were made; their folders are taken over to this line."""
    git(tmp_path, "init", "-q")
    for version in ("0.1.0", "0.2.0"):
        git(tmp_path, "commit", "-qm", version, "--allow-empty")
        git(tmp_path, "tag", f"v{version}")
    git(tmp_path, "switch", "-qc", "old", "v0.1.0")
    for version in ("0.1.1", "0.1.2"):
        git(tmp_path, "commit", "-qm", version, "--allow-empty")
        git(tmp_path, "tag", f"v{version}")
    git(tmp_path, "switch", "-q", "-")
    assert tagged(tmp_path) == ["v0.1.0", "v0.2.0"]
    assert untold(tmp_path, ["0.1.0", "0.1.1", "0.1.2", "0.2.0"]) is None
    missing = untold(tmp_path, ["0.1.0", "0.1.1", "0.1.3", "0.2.0", "0.3.0"])
    assert missing == "git has no v0.1.3, v0.3.0 here: git fetch --tags"
