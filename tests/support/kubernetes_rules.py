"""What Kubernetes' controllers do with rendered objects, as far as its documents say so; nothing is asked of a cluster.

StatefulSets: https://kubernetes.io/docs/concepts/workloads/controllers/statefulset/#rolling-updates ("the controller
waits until an updated Pod is Running and Ready prior to updating its predecessor"; with `Parallel` pods are created at
once, updates keep their order). Evictions: https://kubernetes.io/docs/tasks/run-application/configure-pdb/ ("Unhealthy
Pod Eviction Policy"). Helm: what a chart no longer renders is deleted, after what it renders is there.

A node that is gone: https://kubernetes.io/docs/concepts/scheduling-eviction/taint-and-toleration/ ("Kubernetes
automatically adds a toleration ... with tolerationSeconds=300"), https://kubernetes.io/docs/concepts/architecture/nodes/
(how long until it is not ready), https://kubernetes.io/docs/tasks/run-application/force-delete-stateful-set-pod/ (how
a pod of an unreachable node leaves), https://kubernetes.io/docs/concepts/cluster-administration/node-shutdown/ (the
taint out-of-service). Which fields of a StatefulSet may change: what the API server says when it refuses another one.
Preemption: https://kubernetes.io/docs/concepts/scheduling-eviction/pod-priority-preemption/. Spreading:
https://kubernetes.io/docs/concepts/scheduling-eviction/topology-spread-constraints/ ("the global minimum is treated as
0" with fewer domains than `minDomains`; a cordoned node is a domain).
"""

from collections.abc import Callable, Mapping
from math import inf
from typing import Any

Object = Mapping[str, Any]
Objects = Mapping[str, Object]
NOT_READY_S, TOLERATED_S = 50.0, 300.0
"""The node controller's grace period (40 s before Kubernetes 1.32), and the toleration that a pod gets by itself."""
MAY_CHANGE = {
    *("replicas", "ordinals", "template", "updateStrategy", "revisionHistoryLimit"),
    *("persistentVolumeClaimRetentionPolicy", "minReadySeconds"),
}
"""Of a StatefulSet's spec: `updates to statefulset spec for fields other than ... are forbidden`."""
_UNITS = {"": 1.0, "m": 0.001, "Ki": 2.0**10, "Mi": 2.0**20, "Gi": 2.0**30}


def may_be_evicted(budget: Object, *, ready: int, pods: int, is_ready: bool) -> bool:
    """Whether one of `pods`, of which `ready` are, may be evicted; the budget says how many may be missing."""
    spec = budget["spec"]
    healthy_wanted = pods - spec["maxUnavailable"]
    if not is_ready and spec.get("unhealthyPodEvictionPolicy", "IfHealthyBudget") == "AlwaysAllow":
        return True
    if not is_ready:
        return ready >= healthy_wanted > 0
    return ready - 1 >= healthy_wanted


def finishes(before: Objects, after: Objects, is_ready: Callable[[set[int]], bool]) -> bool:
    """Whether an upgrade of these objects' one StatefulSet comes to an end by itself.

    `is_ready` says whether pods with these ordinals, of the new revision and no others, become ready.
    """
    [old], [new] = (
        [name for name in objects if name.startswith("StatefulSet/") and "nats" in name] for objects in (before, after)
    )
    replicas = after[new]["spec"]["replicas"]
    if old != new:  # the new set's pods are created at once, the old set is deleted
        return is_ready(set(range(replicas)))
    there = set(range(before[old]["spec"]["replicas"]))
    fresh = set(range(replicas)) - there
    for ordinal in sorted(there, reverse=True):
        if fresh and not is_ready(fresh):
            return False
        fresh |= {ordinal}
    return is_ready(fresh)


def refused(before: Object, after: Object) -> set[str]:
    """Return the fields of a StatefulSet for which the API server refuses this update; empty: it takes it."""
    fields = before["spec"].keys() | after["spec"].keys()
    return {one for one in fields - MAY_CHANGE if before["spec"].get(one) != after["spec"].get(one)}


def stays(before: Object, after: Object) -> bool:
    """Whether pods that `kubectl delete --cascade=orphan` left run on under the set that is made in its place.

    A set adopts pods by its selector, and replaces those that are of another template.
    """
    same = (before["metadata"]["name"], before["spec"]["selector"]) == (
        after["metadata"]["name"],
        after["spec"]["selector"],
    )
    return same and before["spec"]["template"] == after["spec"]["template"]


def made_anew_s(owner: Object, *, back_s: float = inf, declared_s: float = inf) -> float:
    """Return when a pod of a node that falls silent at 0 is made anew, on any node; infinite: never.

    `back_s`: the node is there again. `declared_s`: somebody deletes it, or taints it `out-of-service`.
    """
    marked = NOT_READY_S + _tolerated_s(owner["spec"]["template"]["spec"])
    if back_s <= min(marked, declared_s):
        return inf  # it runs on, on its own node
    if owner["kind"] == "StatefulSet":  # at most one of a name: only once the old one is known to be over
        return min(max(back_s, marked), declared_s)
    return min(marked, declared_s)


def _tolerated_s(pod: Object) -> float:
    for one in pod.get("tolerations", ()):
        keyed = one.get("key") in {None, "node.kubernetes.io/unreachable"}
        if keyed and one.get("effect") in {None, "NoExecute"}:
            return float(one.get("tolerationSeconds", inf))
    return TOLERATED_S


def asked(pod: Object) -> dict[str, float]:
    """Return the processors and bytes of memory that a pod's containers ask for."""
    requests = [one.get("resources", {}).get("requests", {}) for one in pod["containers"]]
    return {kind: sum(_amount(one.get(kind, 0)) for one in requests) for kind in ("cpu", "memory")}


def _amount(quantity: str | float) -> float:
    number = str(quantity).rstrip("KMGim")
    return float(number) * _UNITS[str(quantity).removeprefix(number)]


def preempted(
    pending: Object, running: Objects, room: Mapping[str, float], worth: Mapping[str, int]
) -> set[str] | None:
    """Return which pods of one node are evicted, so that this one fits; None: it stays Pending.

    `room` is what the node has for pods; `worth` has the value of each PriorityClass.
    """

    def rank(pod: Object) -> int:
        return worth[pod["priorityClassName"]] if pod.get("priorityClassName") else 0

    def fits(names: set[str]) -> bool:
        pods = [pending, *(running[name] for name in names)]
        return all(sum(asked(pod)[kind] for pod in pods) <= room[kind] for kind in room)

    kept = {name for name, pod in running.items() if rank(pod) >= rank(pending)}
    if fits(set(running)):
        return set()
    if not fits(kept):
        return None
    for name in sorted(running.keys() - kept, key=lambda name: -rank(running[name])):  # no more than it takes
        kept |= {name} if fits(kept | {name}) else set()
    return running.keys() - kept


def may_take(constraint: Object, pods: Mapping[str, int], cordoned: frozenset[str] = frozenset()) -> set[str]:
    """Return the nodes that one more pod may run on; `pods` says how many run on each node."""
    fewest = min(pods.values()) if len(pods) >= constraint.get("minDomains", 1) else 0
    return {
        node for node, number in pods.items() if node not in cordoned and number + 1 - fewest <= constraint["maxSkew"]
    }
