"""The bus: typed messages over core NATS and JetStream (docs/architecture.md).

Two storeys: a `Connection` speaks core NATS; a `Bus` is a connection with `Streams` (JetStream), which store so that
nothing is stored twice, read back, and follow a stream in order. `service` has micro services that answer requests.
"""

from services.bus.bus import Bus
from services.bus.connection.connection import Connection, Failed, NoWorkers, Request, TooLarge
from services.bus.service.micro import Endpoint, MicroService, Refusal
from services.bus.settings import NatsSettings
from services.bus.streams.errors import Contended, Fenced, NoRoom, Unavailable
from services.bus.streams.ordered_consumer import Removed, Stored, StreamReset
from services.bus.streams.storing import LeaseCheck
from services.bus.streams.stream_config import StreamConflict

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
