"""Leases: how replicas share work that one of them at a time is to do (ADR 12).

`view` is what the bucket says and `plan` what follows from it, both pure; `Leases` keeps one replica's own, `Taking`
takes what is due to it, `Sharing` runs the sites that are held.
"""

from services.leases.leases import Leases, new_replica_name
from services.leases.sharing import Sharing
from services.leases.taking import Taking
from services.leases.view import LeaseKey

__all__ = ["LeaseKey", "Leases", "Sharing", "Taking", "new_replica_name"]
