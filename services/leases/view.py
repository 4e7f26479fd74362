"""What the bucket of leases says, as far as one replica has read it. Pure."""

from dataclasses import dataclass

LeaseKey = tuple[str, ...]
"""What is leased, by its subject's tokens: (site, camera)."""


@dataclass(frozen=True, slots=True)
class Lease:
    """Who holds something. `live`: with effect; `offered`: and wants to be relieved."""

    holder: str
    revision: int
    live: bool = False
    offered: bool = False


class View:
    """Leases and replicas. What is older than what is known changes nothing."""

    def __init__(self) -> None:
        self.leases: dict[LeaseKey, Lease] = {}
        self.replicas: dict[str, bool] = {}
        """Which replicas are there, and whether each is leaving."""
        self._removed: dict[LeaseKey, int] = {}

    def put(self, key: LeaseKey, lease: Lease) -> None:
        """Take an entry in."""
        if lease.revision > self._newest(key):
            self.leases[key] = lease

    def remove(self, key: LeaseKey, revision: int) -> None:
        """Take in that an entry is gone: released, or its holder is silent."""
        if revision > self._newest(key):
            self.leases.pop(key, None)
            self._removed[key] = revision

    def replica(self, name: str, leaving: bool | None) -> None:
        """Take in whether a replica is leaving; None: it is gone."""
        if leaving is None:
            self.replicas.pop(name, None)
        else:
            self.replicas[name] = leaving

    def reset(self) -> None:
        """Forget everything: the bucket is read anew, or is another one than before."""
        self.leases.clear()
        self.replicas.clear()
        self._removed.clear()

    def held_by(self, replica: str) -> set[LeaseKey]:
        """Return what this replica holds."""
        return {key for key, lease in self.leases.items() if lease.holder == replica}

    def _newest(self, key: LeaseKey) -> int:
        lease = self.leases.get(key)
        return max(self._removed.get(key, -1), lease.revision if lease else -1)
