"""Operator's orders and the record of what could not be handled (design §4). Site-local."""

from typing import Annotated, Literal

from msgspec import Meta, Struct

from proto.types import Count, Nanoseconds, SiteId

OperatorName = Annotated[str, Meta(pattern=r"^[A-Za-z0-9_.@+-]{1,64}\Z")]
ServiceName = Literal["ingest", "inference", "aggregate", "notify"]


class PauseRequestV1(Struct, frozen=True, tag="PauseRequestV1", kw_only=True):
    """Stop (or go on) processing pictures of a site, now. Sticky: it holds over restarts until resumed."""

    site: SiteId
    action: Literal["pause", "resume"]
    operator: OperatorName


class PauseReplyV1(Struct, frozen=True, tag="PauseReplyV1", kw_only=True):
    """What is in force after the request."""

    site: SiteId
    paused: bool
    cameras: Count
    error: str | None = None


class PauseStateV1(Struct, frozen=True, tag="PauseStateV1", kw_only=True):
    """The order in force, kept in the KV bucket CONTROL; also its audit entry."""

    site: SiteId
    paused: bool
    operator: OperatorName
    at: Nanoseconds


class DeadV1(Struct, frozen=True, tag="DeadV1", kw_only=True):
    """A message that a service could not handle. Of a frame only subject, size and reason are kept, never bytes."""

    service: ServiceName
    subject: str
    reason: str
    size: Count
    at: Nanoseconds
    payload: bytes | None = None
