"""Log files of a test are searched although what it started still removes some."""

import shutil

from secrecy import logs


def test_a_folder_that_goes_meanwhile_is_passed_over(tmp_path):
    """As nats-server's folders of a stream that is deleted: `Path.rglob` raised, which ended a worker of pytest."""
    for name in ("a", "b"):
        (tmp_path / "store" / name / "streams").mkdir(parents=True)
        (tmp_path / "store" / name / "said.log").touch()
    (tmp_path / "own.log").touch()
    found = logs(tmp_path)
    first = next(found)
    shutil.rmtree(tmp_path / "store" / "b")
    assert [first, *found] == [tmp_path / "own.log", tmp_path / "store" / "a" / "said.log"]
