"""Passwords of readers that come by MQTT, whose clients have no nkeys, and their users (ADR 48)."""

import secrets

import bcrypt

LIVE = ("moretta", "moretta.>")
"""What an MQTT client may hear: `moretta/#`, which is both to the server. Its sessions are the server's own affair."""
_COST = 4
"""bcrypt's least. A password is made here, of 256 random bits, and nobody can guess it; a higher cost would be work
that anybody who connects could give the server."""


def new_password() -> tuple[str, str]:
    """Return a password, and its hash as nats-server takes it (bcrypt, `$2a$`)."""
    password = secrets.token_urlsafe(32)
    return password, bcrypt.hashpw(password.encode(), bcrypt.gensalt(_COST, prefix=b"2a")).decode()


def mqtt_user(name: str, hashed: str) -> dict[str, object]:
    """Return a reader's user for MQTT clients, which hears and publishes nothing."""
    rights = {"publish": {"deny": [">"]}, "subscribe": {"allow": list(LIVE)}}
    return {"user": name, "password": hashed, "permissions": rights, "allowed_connection_types": ["MQTT"]}


def password_file(user: str) -> str:
    """Return the name of the file with a reader's password for MQTT."""
    return f"{user}.mqtt"
