"""Who is who on the bus: a key of each identity, and what nats-server lets it do (ADR 20)."""

from services.identities.hub import Hub, KeptHub
from services.identities.kept import Kept, Leaf, Server, settings_file
from services.identities.made import PEERS, Identities
from services.identities.server import Tls, nats_config, server, users

__all__ = ["PEERS", "Hub", "Identities", "Kept", "KeptHub", "Leaf", "Server", "Tls"]
__all__ += ["nats_config", "server", "settings_file", "users"]
