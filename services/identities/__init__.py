"""Who is who on the bus: a key of each identity, and what nats-server lets it do (ADR 20)."""

from services.identities.hub import Hub, KeptHub
from services.identities.kept import PEOPLE, Kept, Leaf, Server, settings_file
from services.identities.kubernetes import Release
from services.identities.made import Identities, secret_files
from services.identities.server import Tls, WebSocket, limits, nats_config, server, users

__all__ = ["PEOPLE", "Hub", "Identities", "Kept", "KeptHub", "Leaf", "Release", "Server", "Tls", "WebSocket"]
__all__ += ["limits", "nats_config", "secret_files", "server", "settings_file", "users"]
