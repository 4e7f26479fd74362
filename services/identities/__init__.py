"""Who is who on the bus: a key of each identity, and what nats-server lets it do (ADR 20)."""

from services.identities.kept import Kept, Server, settings_file
from services.identities.made import PEERS, Identities
from services.identities.server import Tls, nats_config, server, users

__all__ = ["PEERS", "Identities", "Kept", "Server", "Tls", "nats_config", "server", "settings_file", "users"]
