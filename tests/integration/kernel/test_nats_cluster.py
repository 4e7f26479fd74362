"""What a test's own nats-server leaves when it can't start."""

from pathlib import Path

import pytest
from nats_cluster import NatsCluster


def test_a_cluster_starts_whole_or_not_at_all(tmp_path: Path):
    """Nothing of it goes on, which every test is looked at for, and the error ends with the server's own reason."""
    cluster = NatsCluster(tmp_path)
    cluster.servers[2].port = cluster.servers[0].port
    with pytest.raises(AssertionError, match=r"(?s)nats-server died: .*bind: address already in use\"\n$"):
        cluster.start()
