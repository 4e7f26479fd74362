"""The bus: typed messages over core NATS and JetStream (docs/architecture.md).

`Bus` joins the parts: a `Connection` (core NATS), `Streams` (idempotent storing and reading back), `follow` (an ordered
reader that notices when a stream has been replaced) and `micro` (micro services that answer requests).
"""

from services.bus.bus import Bus
from services.bus.connection import Connection, Failed, NoWorkers, Request, TooLarge
from services.bus.errors import Contended, Fenced, NoRoom, Unavailable
from services.bus.follow import Removed, Stored, StreamReset
from services.bus.making import StreamConflict
from services.bus.micro import Endpoint, MicroService, Refusal
from services.bus.settings import NatsSettings
from services.bus.streams import LeaseCheck

__all__ = [
    "Bus",
    "Connection",
    "Contended",
    "Endpoint",
    "Failed",
    "Fenced",
    "LeaseCheck",
    "MicroService",
    "NatsSettings",
    "NoRoom",
    "NoWorkers",
    "Refusal",
    "Removed",
    "Request",
    "Stored",
    "StreamConflict",
    "StreamReset",
    "TooLarge",
    "Unavailable",
]
