"""Operator's orders and the record of what could not be handled (docs/architecture.md). Site-local."""

from typing import Annotated, Literal

from msgspec import Meta, Struct

from proto.types import CameraId, Count, Nanoseconds, SiteId

OperatorName = Annotated[str, Meta(pattern=r"^[A-Za-z0-9_.@+-]{1,64}\Z")]
Why = Annotated[str, Meta(max_length=200)]
ServiceName = Literal["ingest", "inference", "aggregate", "notify"]


class PauseRequestV1(Struct, frozen=True, tag="PauseRequestV1", kw_only=True):
    """Stop (or go on) processing pictures of a site or a camera, now. Sticky: it holds over restarts until resumed."""

    site: SiteId
    action: Literal["pause", "resume"]
    operator: OperatorName
    camera: CameraId | None = None
    """One camera; None is the whole site. Resuming the site leaves paused what was paused for itself."""
    why: Why = ""
    at: Nanoseconds | None = None
    """When it was given. A pause is obeyed however late it comes; to resume is not after 10 s: nobody waits for it."""


class PauseReplyV1(Struct, frozen=True, tag="PauseReplyV1", kw_only=True):
    """What is in force after the request."""

    site: SiteId
    paused: bool
    """Whether the whole site is."""
    cameras: Count
    """How many cameras the order was for."""
    error: str | None = None
    """Why nothing was changed."""
    paused_cameras: list[CameraId] = []
    """Cameras that are paused for themselves."""
    recorded: bool = True
    """Whether the order is stored. A pause that is not is in force, and ingest goes on trying to store it."""


class PauseStateV1(Struct, frozen=True, tag="PauseStateV1", kw_only=True):
    """The orders in force at a site, and the last one of them: who, when, what and why. The stream is its audit."""

    site: SiteId
    paused: bool
    operator: OperatorName
    at: Nanoseconds
    paused_cameras: list[CameraId] = []
    action: Literal["pause", "resume"] | None = None
    camera: CameraId | None = None
    why: Why = ""
    stuck_cameras: list[CameraId] = []
    """Cameras whose decoder got stuck: no replica opens one until it is resumed for itself. Ingest records them."""


class DeadV1(Struct, frozen=True, tag="DeadV1", kw_only=True):
    """A message that a service could not handle. Of a frame only subject, size and reason are kept, never bytes."""

    service: ServiceName
    subject: str
    reason: str
    size: Count
    at: Nanoseconds
    payload: bytes | None = None
