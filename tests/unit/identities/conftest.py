"""What the tests of a folder of identities start from."""

from pathlib import Path

import pytest
from nats_folder import NatsFolder


@pytest.fixture(name="nats")
def _nats(tmp_path: Path) -> NatsFolder:
    return NatsFolder(tmp_path / "nats")
