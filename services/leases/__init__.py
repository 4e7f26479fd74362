"""Leases: how replicas share work that one of them at a time is to do (design §7, ADR 12).

`view` is what the bucket says and `plan` what follows from it, both pure; `Leases` keeps one replica's own.
"""

from services.leases.leases import Leases
from services.leases.view import Key

__all__ = ["Key", "Leases"]
