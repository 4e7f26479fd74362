"""Which build runs: services.kernel.build."""

from importlib.metadata import FileHash, PackageNotFoundError, PackagePath, version

import pytest

import services.kernel.build as sut

FILES = {"proto/a.py": "1", "services/b.py": "2", "../../bin/moretta": "3", "services/__pycache__/b.pyc": ""}


def digest(**changes: str) -> str:
    """Of the wheel's record, but for the hashes that are given by their names."""
    found = []
    for name, value in FILES.items():
        file = PackagePath(name)
        now = changes.get(file.stem, value)
        file.hash = FileHash(f"sha256={now}") if now else None
        found.append(file)
    return sut._digest(found)


def test_a_build_is_its_own_files():
    """What they hold tells builds apart; what pip adds where it installs them does not."""
    assert digest() == digest(moretta="other")
    assert len({digest(), digest(a="other"), digest(b="other")}) == 3


def test_what_is_installed_says_so(monkeypatch: pytest.MonkeyPatch):
    """The version of the wheel and twelve hex digits; from a checkout it isn't known."""
    assert sut.build()["version"] == version("moretta")
    assert len(bytes.fromhex(sut.build()["build"])) == 6

    def none(_name: str) -> None:
        raise PackageNotFoundError

    monkeypatch.setattr(sut, "distribution", none)
    assert sut.build.__wrapped__() == {"version": "unknown", "build": "unknown"}
