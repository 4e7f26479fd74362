"""The folder of `moretta up`: operate.box.box."""

from pathlib import Path

from operate.box.box import Box


async def test_a_relative_folder_is_as_seen_from_where_the_command_runs(tmp_path, monkeypatch):
    """The services read its files as seen from the settings' folder: they get whole paths."""
    monkeypatch.chdir(tmp_path)
    box = Box(Path("data"), tmp_path / "elsewhere" / "site.yaml")
    given = box._identities.environment("ingest")
    files = [Path(value) for name, value in given.items() if name.endswith("_FILE")]
    assert files
    assert all(file.is_absolute() and file.exists() for file in files)
