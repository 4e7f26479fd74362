"""What may go wrong with JetStream: what passes by itself, and what the caller has to know."""

import nats.errors
from nats.js.errors import NoStreamResponseError, ServiceUnavailableError

WRONG_LAST_SEQUENCE = 10071
CONTENDED = {10158, 10164}
"""A cluster's answers while another write of the same id (10158), or to the same subject (10164), is on its way."""
NO_ROOM = {10002, 10023, 10026, 10028, 10047}
"""Limits of the account, of the cluster, of streams, of memory, of the disk."""


class Missing(Exception):
    """A stream is not there, and others make it."""


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
"""What one tries on through."""


class Fenced(Exception):
    """Somebody else has written later than us on this subject: stop (ADR 12)."""


class Contended(Exception):
    """Somebody else writes the same at this moment: nothing is known yet, try again."""


class NoRoom(Exception):
    """The server refuses to make a stream; the text says which, why, and what all of them need."""


class Unavailable(Exception):
    """JetStream does not answer at the moment."""
