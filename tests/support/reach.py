"""Who may reach whom by the NetworkPolicies of a manifest, as Kubernetes reads them (networking.k8s.io/v1)."""

import ipaddress
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

Object = dict[str, Any]


@dataclass(frozen=True)
class Place:
    """A pod with its labels and those of its namespace, or an address outside."""

    labels: Mapping[str, str] = field(default_factory=dict)
    namespace: str = ""
    address: str | None = None

    @classmethod
    def pod(cls, found: Object, namespace: str) -> "Place":
        """Return a rendered pod's place. On its node's network no policy holds for it: it is the node's address."""
        if found["spec"].get("hostNetwork"):
            return cls(address="10.0.0.7")
        return cls(found["metadata"]["labels"], namespace)


@dataclass(frozen=True)
class Policies:
    """The policies of one namespace."""

    objects: list[Object]
    namespace: str
    ports: Mapping[str, int] = field(default_factory=dict)
    """Ports of pods that policies call by name."""

    def allow(self, source: Place, target: Place, port: int, protocol: str = "TCP") -> bool:
        """Whether a connection is let out at its source and in at its target."""
        leaves = self._allows("Egress", source, target, port, protocol)
        return leaves and self._allows("Ingress", target, source, port, protocol)

    def _allows(self, way: str, own: Place, other: Place, port: int, protocol: str) -> bool:
        mine = [one["spec"] for one in self.objects if self._selects(one["spec"], own)]
        mine = [one for one in mine if way in one["policyTypes"]]
        rules = [rule for one in mine for rule in one.get(way.lower(), [])]
        peers = "to" if way == "Egress" else "from"
        allowed = (
            self._is_port(rule.get("ports"), port, protocol) and self._is_peer(rule.get(peers), other) for rule in rules
        )
        return not mine or any(allowed)  # whom no policy selects is free

    def _selects(self, spec: Object, place: Place) -> bool:
        return (
            place.address is None and place.namespace == self.namespace and matches(spec["podSelector"], place.labels)
        )

    def _is_port(self, ports: Iterable[Object] | None, port: int, protocol: str) -> bool:
        if not ports:
            return True
        return any(
            one.get("protocol", "TCP") == protocol and self.ports.get(one["port"], one["port"]) == port for one in ports
        )

    def _is_peer(self, peers: Iterable[Object] | None, other: Place) -> bool:
        return not peers or any(self._is(peer, other) for peer in peers)

    def _is(self, peer: Object, other: Place) -> bool:
        if block := peer.get("ipBlock"):
            nets = [ipaddress.ip_network(one) for one in (block["cidr"], *block.get("except", []))]
            inside = [other.address is not None and ipaddress.ip_address(other.address) in net for net in nets]
            return inside[0] and not any(inside[1:])
        if other.address is not None:
            return False
        here = {"kubernetes.io/metadata.name": other.namespace}
        spaces = peer.get("namespaceSelector")
        in_space = other.namespace == self.namespace if spaces is None else matches(spaces, here)
        return in_space and matches(peer.get("podSelector", {}), other.labels)


def matches(selector: Object, labels: Mapping[str, str]) -> bool:
    """Whether a label selector without expressions selects these labels; an empty one selects all."""
    assert selector.keys() <= {"matchLabels"}
    return selector.get("matchLabels", {}).items() <= labels.items()
