"""Errors of JetStream: those that pass by themselves, and those that the caller has to know."""

import nats.errors
from nats.js.errors import NoStreamResponseError, ServiceUnavailableError

WRONG_LAST_SEQUENCE = 10071
CONTENDED = {10158, 10164}
"""A cluster's answers while another write with the same id (10158), or to the same subject (10164), is in progress."""
NO_ROOM = {10002, 10023, 10026, 10028, 10047}
"""Answers at a limit: of the account, of the cluster, of streams, of memory, of the disk."""


class Missing(Exception):
    """A stream does not exist, and another service makes it."""


class Full(Exception):
    """The server has no room for a message at the moment."""


TRANSIENT = (
    Missing,
    Full,
    nats.errors.TimeoutError,
    nats.errors.NoRespondersError,
    nats.errors.ConnectionClosedError,
    nats.errors.ConnectionReconnectingError,
    nats.errors.OutboundBufferLimitError,
    NoStreamResponseError,
    ServiceUnavailableError,
    OSError,
)
"""Errors after which the caller retries."""


class Fenced(Exception):
    """Another writer has written later than us on this subject: stop (ADR 12)."""


class Contended(Exception):
    """Another writer is writing the same at this moment. The outcome is not known yet: retry."""


class NoRoom(Exception):
    """The server refuses to make a stream; the text says which, why, and what all streams need."""


class Unavailable(Exception):
    """JetStream does not answer at the moment."""
