"""Log files of a test are searched although what it started still removes some."""

import os

import secrecy


def test_a_folder_that_goes_meanwhile_is_passed_over(tmp_path, monkeypatch):
    """As nats-server's folders of a stream that is deleted: between their parent's listing and their own they go."""
    for name in ("a", "b"):
        (tmp_path / "store" / name / "streams").mkdir(parents=True)
        (tmp_path / "store" / name / "said.log").touch()
    (tmp_path / "own.log").touch()
    _goes_when_it_is_entered(monkeypatch, tmp_path / "store" / "b")
    assert sorted(secrecy.logs(tmp_path)) == [tmp_path / "own.log", tmp_path / "store" / "a" / "said.log"]


def _goes_when_it_is_entered(monkeypatch, folder):
    listed = os.scandir

    def scandir(path="."):
        if str(path) == str(folder):
            (folder / "said.log").unlink()
            (folder / "streams").rmdir()
            folder.rmdir()
        return listed(path)

    monkeypatch.setattr(os, "scandir", scandir)
