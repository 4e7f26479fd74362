"""Whether what is kept of releases was touched: by checksums, by the CHANGELOG, by git's tags.

Each catches something. A file that is changed, added or removed differs from its release's checksums, which later
releases have checksums of. A folder that is gone is missed by the CHANGELOG, and by the checksums of later releases.
Who rewrites all these alike is seen only against the tags: where a clone has none, nobody sees it.
"""

import hashlib
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

FOLDER = Path(__file__).parent.parent / "contract" / "released"
SUMS = "SHA256SUMS"
_HEADING = re.compile(r"^## \[(?!Unreleased)([^\]]+)\]", re.MULTILINE)


def releases(folder: Path = FOLDER) -> list[Path]:
    """Return the folders of what was released."""
    return sorted(path for path in folder.iterdir() if path.is_dir()) if folder.exists() else []


def checksum(path: Path) -> str:
    """Return a file's SHA-256 in hexadecimal."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def damage(folder: Path = FOLDER) -> Iterator[str]:
    """Yield what the checksums of the releases say was changed, added or removed."""
    for release in releases(folder):
        sums = release / SUMS
        lines = sums.read_text("utf-8").splitlines() if sums.exists() else []
        listed = {name: digest for digest, name in (line.split("  ", 1) for line in lines)}
        for name, digest in listed.items():
            path = release / name
            if not path.exists() or checksum(path) != digest:
                yield f"{release.name}/{name}: {'was changed' if path.exists() else 'is gone'}"
        unlisted = {path.relative_to(release).as_posix() for path in release.rglob("*") if path.is_file()} - {*listed}
        yield from (f"{release.name}/{name}: was added" for name in sorted(unlisted - {SUMS}))
        if not sums.exists():
            yield f"{release.name}/{SUMS}: is gone"


def unmatched(changelog: str, folder: Path = FOLDER) -> Iterator[str]:
    """Yield the versions that the CHANGELOG has a heading of and no folder, and the other way round."""
    told, kept = set(_HEADING.findall(changelog)), {release.name for release in releases(folder)}
    yield from (f"{one}: the CHANGELOG has it, and what it promised is gone" for one in sorted(told - kept))
    yield from (f"{one}: it was released, and the CHANGELOG lacks it" for one in sorted(kept - told))


def tagged(repository: Path) -> list[str]:
    """Return the tags of releases that this commit comes from; none where there is no git, or only a shallow clone."""
    done = _git(repository, "tag", "--merged", "HEAD", "--list", "v[0-9]*")
    return done.stdout.split() if done.returncode == 0 else []


def untold(repository: Path, versions: list[str]) -> str | None:
    """Return why the tags tell less than they should of these versions; None if all but one have theirs."""
    shallow = _git(repository, "rev-parse", "--is-shallow-repository").stdout.strip()
    if shallow != "false":
        return f"{repository} has no git history: git fetch --tags --unshallow" if versions else None
    # Any line's: a folder is taken over from the branch of an older release, whose tag this commit does not come from.
    missing = {f"v{version}" for version in versions} - {*_git(repository, "tag", "--list", "v[0-9]*").stdout.split()}
    # The newest is tagged after its folder was committed.
    return f"git has no {', '.join(sorted(missing))} here: git fetch --tags" if len(missing) > 1 else None


def changed_since(tag: str, repository: Path, folder: Path = FOLDER) -> Iterator[str]:
    """Yield the files of releases that are not as they were at a tag; what was added since is no change."""
    inside = folder.relative_to(repository).as_posix()
    if not _git(repository, "ls-tree", tag, f"{inside}/{tag[1:]}").stdout:
        yield f"{tag}: {inside}/{tag[1:]} is not in it"
    changed = _git(repository, "diff", "--name-only", "--no-renames", "--diff-filter=a", tag, "--", inside)
    yield from (f"{tag}: {name} is not as it was" for name in changed.stdout.splitlines())


def _git(repository: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["git", "-C", str(repository), *arguments], capture_output=True, text=True, check=False)
