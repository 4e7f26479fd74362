"""Leases: how replicas share work that only one of them may do at a time (ADR 12).

`shares` holds what the bucket says, and works out each replica's share; it is pure. `Leases` keeps one replica's own
leases. `Holder` takes the leases that are due to the replica, and hands them over. `SiteSharing` runs the sites whose
leases are held.
"""

from services.leases.assignment import LeaseKey
from services.leases.holder import Holder, Taking
from services.leases.leases import Leases
from services.leases.presence import new_replica_name
from services.leases.sharing import SiteSharing

__all__ = ["Holder", "LeaseKey", "Leases", "SiteSharing", "Taking", "new_replica_name"]
