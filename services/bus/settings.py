"""The section `nats` of the settings file."""

from typing import Annotated

from msgspec import Meta, Struct

from services.settings import Secret


class NatsSettings(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Where NATS is, and who we are there.

    `frames_user` and `frames_password` are the second identity, in the account FRAMES, that only ingest and inference
    have (design §4); without them the first one is used for both.
    """

    url: Annotated[
        str,
        Meta(
            pattern=r"^(nats|tls|ws|wss)://[^\s/,][^\s,]*(,(nats|tls|ws|wss)://[^\s/,][^\s,]*)*\Z",
            description="a URL such as nats://host:4222, or tls, ws, wss; of a cluster several, with commas between",
        ),
    ] = "nats://127.0.0.1:4222"
    user: str | None = None
    password: Secret | None = None
    frames_user: str | None = None
    frames_password: Secret | None = None
    ca_file: str | None = None
    replicas: Annotated[int, Meta(ge=1, le=5)] = 1
    """Copies of each stream: 1 on one server, 3 on a cluster."""
    connect_timeout_s: Annotated[float, Meta(gt=0, le=60)] = 2.0
