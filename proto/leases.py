"""Who serves what: leases in NATS KV, kept alive by their holders (ADR 12). Site-local."""

from typing import Annotated

from msgspec import Meta, Struct

from proto.types import CameraId, Sequence, SiteId

ReplicaId = Annotated[str, Meta(pattern=r"^[A-Za-z0-9_-]{1,64}\Z", description="1-64 of A-Z, a-z, 0-9, _ and -")]


class CameraLeaseV1(Struct, frozen=True, tag="CameraLeaseV1", kw_only=True):
    """One camera's holder. `number` is the lease that stands in its frames; it rises with every holder (ADR 12)."""

    site: SiteId
    camera: CameraId
    holder: ReplicaId
    live: bool = False
    """Whether the holder has pictures: whom it took over from may let go."""
    offered: bool = False
    """Whether the holder hands the lease over; it goes on until another replica takes it over."""
    number: Sequence = 0


class ReplicaV1(Struct, frozen=True, tag="ReplicaV1", kw_only=True):
    """A replica of ingest that takes cameras."""

    replica: ReplicaId
    leaving: bool = False
    """Whether it takes no more, because it is about to end."""


class SiteLeaseV1(Struct, frozen=True, tag="SiteLeaseV1", kw_only=True):
    """The replica of aggregate that decides one site. Its messages carry no `number`: each is stored once by itself."""

    site: SiteId
    holder: ReplicaId
    live: bool = False
    """Whether the holder has read what was stored before it took over."""
    offered: bool = False
    """Whether the holder hands the lease over; it goes on until another replica takes it over."""
    number: Sequence = 0


class AggregateReplicaV1(Struct, frozen=True, tag="AggregateReplicaV1", kw_only=True):
    """A replica of aggregate that takes sites."""

    replica: ReplicaId
    leaving: bool = False
    """Whether it takes no more, because it is about to end."""


class NotifyLeaseV1(Struct, frozen=True, tag="NotifyLeaseV1", kw_only=True):
    """The replica of notify that tells people of one site, so that groups, caps and order hold."""

    site: SiteId
    holder: ReplicaId
    live: bool = False
    """Whether the holder has read what was decided before it took over."""
    offered: bool = False
    """Whether the holder hands the lease over; it goes on until another replica takes it over."""
    number: Sequence = 0


class NotifyReplicaV1(Struct, frozen=True, tag="NotifyReplicaV1", kw_only=True):
    """A replica of notify that takes sites."""

    replica: ReplicaId
    leaving: bool = False
    """Whether it takes no more, because it is about to end."""
