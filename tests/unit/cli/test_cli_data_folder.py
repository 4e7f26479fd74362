"""The folder of `moretta up --data`: operate.box.machine."""

from pathlib import Path

import pytest

from operate.box.machine import held
from services.kernel.settings import SettingsError


def test_one_at_a_time(tmp_path: Path):
    """It is made where it is missing; while one has it another is refused, and afterwards it is free."""
    folder = tmp_path / "var" / "moretta"
    with held(folder) as given:
        assert given.is_dir()
        with pytest.raises(SettingsError, match="is in use by another `moretta up`; stop that one"), held(folder):
            pass
    with held(folder):
        pass


def test_a_file_is_no_folder(tmp_path: Path):
    """One line with the option, the value and what would be right."""
    (tmp_path / "file").touch()
    with pytest.raises(SettingsError) as error, held(tmp_path / "file"):
        pass
    why = f"moretta up: --data: '{tmp_path}/file' cannot be used: File exists; name a folder that may be written to"
    assert str(error.value) == why
