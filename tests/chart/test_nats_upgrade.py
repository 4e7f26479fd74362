"""From one NATS server to three, and drained nodes, by Kubernetes' own rules; which servers are ready is tried."""

from pathlib import Path

import pytest
from chart import RELEASE, render
from kubernetes_rules import finishes, may_be_evicted
from patience import until
from rendered_nats import RenderedCluster, conf

BUDGET = f"PodDisruptionBudget/{RELEASE}-nats"
SAME_NAME = f"StatefulSet/{RELEASE}-nats"


def has_all(ordinals: set[int]) -> bool:
    """Servers are ready once all three are there: `test_two_of_three_new_servers_are_not_ready`."""
    return ordinals == {0, 1, 2}


def test_one_server_becomes_three_and_back_by_itself():
    """Three are another set than one: in one and the same the third would wait for the two, and they for it."""
    one, three = render(), render({"nats": {"replicas": 3}})
    assert finishes(one, three, has_all)
    assert finishes(three, one, lambda ordinals: ordinals == {0})
    [name] = [name for name in three if name.startswith("StatefulSet/")]
    in_one_set = {SAME_NAME: three[name]}
    assert not finishes(one, in_one_set, has_all), "as it was: the rules tell"
    claims = [set_["spec"]["volumeClaimTemplates"][0]["metadata"]["name"] for set_ in (one[SAME_NAME], three[name])]
    assert claims == ["data", "data"]
    assert name != SAME_NAME, "so each has volumes of its own, and a cluster deletes nothing that one server stored"


@pytest.mark.timeout(120)
async def test_two_of_three_new_servers_are_not_ready(tmp_path: Path):
    """Their start-up probe passes once the third is there."""
    cluster = RenderedCluster(tmp_path, conf({"replicas": 3}))
    first, *others = cluster.servers
    try:
        for server in others:
            server.start()
        await until(lambda: all(one.healthy("/healthz?js-enabled-only=true") for one in others), "they run", 30)
        assert not any(one.healthy("/healthz") for one in others)
        first.start()
        await until(lambda: all(one.healthy("/healthz") for one in cluster.servers), "all three are ready", 60)
    finally:
        cluster.stop()


@pytest.mark.parametrize(
    ("replicas", "ready", "is_ready", "may"),
    [
        (1, 0, False, True),  # it runs and isn't ready: nothing is lost by moving it
        (1, 1, True, True),
        (3, 3, True, True),
        (3, 2, True, False),  # two of three are needed
        (3, 2, False, True),  # the one that is broken
        (3, 1, False, False),  # which may be coming back with what the majority lacks
    ],
)
def test_a_drain_is_not_blocked_by_a_server_that_is_broken(replicas: int, ready: int, is_ready: bool, may: bool):
    """And takes no second of three away."""
    budget = render({"nats": {"replicas": replicas}})[BUDGET]
    assert may_be_evicted(budget, ready=ready, pods=replicas, is_ready=is_ready) == may
