import pytest
from lying_camera import PASSWORD


@pytest.fixture(name="login")
def _login(tmp_path):
    """The options of a user whose password is in a file."""
    (tmp_path / "password").write_text(PASSWORD)
    return ("--user", "watcher", "--password-file", tmp_path / "password")
