"""Streams made, and brought up to this version's table, without ever taking anything away by itself (ADR 29)."""

import json
import time
from dataclasses import dataclass
from typing import Any

from nats.aio.client import Client
from nats.js.errors import APIError, NotFoundError

from proto.permissions import JETSTREAM_API, stream_info
from proto.subjects import Stream
from services.bus.migration import Config, Difference, StreamConflict, becomes, differences

TIMEOUT_S = 5.0
_SECOND = 1_000_000_000


@dataclass(frozen=True, slots=True)
class Made:
    """What became of a stream, or with `plan` would: whether it was not there, and in what it was different."""

    name: str
    is_new: bool
    found: tuple[Difference, ...] = ()


async def ensure(client: Client, want: Config, *, shrink: bool = False, plan: bool = False) -> Made:
    """Make a stream, or extend one that is there; `shrink` takes away, too, and with `plan` nothing is done.

    StreamConflict if only another stream in its place would do; APIError as the server puts it.
    """
    name = str(want["name"])
    have = await _there(client, name)
    if have is None:
        if plan:
            return Made(name, is_new=True)
        try:
            await _ask(client, f"{JETSTREAM_API}STREAM.CREATE.{name}", want)
            return Made(name, is_new=True)
        except APIError as error:
            have = await _there(client, name)  # another service was faster
            if have is None:
                raise error from None
    found = differences(have, want)
    if refused := [one for one in found if one.outcome == "refused"]:
        if not plan:
            raise StreamConflict(refused)
    elif not plan and (new := becomes(have, want, found, shrink=shrink)) != have:
        await _ask(client, f"{JETSTREAM_API}STREAM.UPDATE.{name}", new)
    return Made(name, is_new=False, found=tuple(found))


async def _there(client: Client, name: str) -> Config | None:
    # Asked first: the server reserves a stream's bytes before it sees that the stream is there already.
    try:
        config: Config = (await _ask(client, stream_info(name)))["config"]
    except NotFoundError:
        return None
    return config


async def _ask(client: Client, subject: str, body: Config | None = None) -> dict[str, Any]:
    request = json.dumps(body).encode() if body else b""
    answer: dict[str, Any] = json.loads((await client.request(subject, request, timeout=TIMEOUT_S)).data)
    if "error" in answer:
        APIError.from_error(answer["error"])
    return answer


def config_of(stream: Stream, replicas: int) -> Config:
    """Return a stream's configuration, as JetStream's API has it (NATS ADR-1): times in ns."""
    age = round((stream.max_age_s or 0) * _SECOND)
    return {
        "name": stream.name,
        "description": stream.purpose,
        "subjects": list(stream.subjects),
        "storage": stream.storage,
        "retention": "limits",
        "discard": "old",
        "max_age": age,
        "max_bytes": stream.max_bytes,
        "max_msgs_per_subject": stream.per_subject,
        "num_replicas": replicas,
        "allow_direct": True,
        "duplicate_window": min(120 * _SECOND, age or 120 * _SECOND),
        **(_expiring() if stream.expires else {}),
    }


def _expiring() -> Config:
    """What makes a stream a KV bucket of leases. Revisions go on rising when a memory bucket is made anew."""
    return {
        "allow_msg_ttl": True,
        "subject_delete_marker_ttl": 5 * _SECOND,
        "allow_rollup_hdrs": True,
        "deny_delete": True,
        "first_seq": time.time_ns() // 1_000,
    }
