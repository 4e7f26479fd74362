"""Identities on the bus: a key for each, and what nats-server lets it do (ADR 20)."""

from operate.identities.folder import CLIENT_IDENTITIES, context, settings_file
from operate.identities.hub import Hub, KeptHub
from operate.identities.kept import IdentityFolder, Leaf, ServerEntry
from operate.identities.kubernetes import Release
from operate.identities.made import Identities, secret_files
from operate.identities.server_config import ServerTls, WebSocket, limits, nats_config, server, users

__all__ = [
    "CLIENT_IDENTITIES",
    "Hub",
    "Identities",
    "IdentityFolder",
    "KeptHub",
    "Leaf",
    "Release",
    "ServerEntry",
    "ServerTls",
    "WebSocket",
]
__all__ += ["context", "limits", "nats_config", "secret_files", "server", "settings_file", "users"]
