"""An MQTT client as devices have it: what it heard, and what the server said to it."""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from paho.mqtt.client import CallbackAPIVersion, Client, MQTTMessage
from patience import wait_until


@dataclass
class Heard:
    """A connected client; `refused` are the subscriptions that the server did not grant."""

    client: Client
    messages: list[MQTTMessage] = field(default_factory=list)
    answers: list[str] = field(default_factory=list)
    granted: dict[str, bool] = field(default_factory=dict)
    ended: list[str] = field(default_factory=list)
    """Why the server ended the connection."""

    def subscribe(self, topic: str, qos: int = 0) -> bool:
        """Subscribe; whether the server granted it."""
        _, number = self.client.subscribe(topic, qos)
        return (
            bool(wait_until(lambda: self.granted.get(str(number)) is not None, f"an answer about {topic}"))
            and (self.granted[str(number)])
        )

    def topics(self) -> list[str]:
        return [one.topic for one in self.messages]


@contextlib.contextmanager
def connected(
    address: str, user: str | None = None, password: str = "", *, name: str = "", ca: Path | None = None, will: str = ""
) -> Iterator[Heard]:
    """A client, with a session of its own if it has a name, and a will about a topic. It waits for an answer."""
    client = Client(CallbackAPIVersion.VERSION2, client_id=name, clean_session=not name)
    heard = Heard(client)
    client.on_connect = lambda _c, _u, _f, reason, _p: heard.answers.append(str(reason))
    client.on_message = lambda _c, _u, message: heard.messages.append(message)
    client.on_subscribe = lambda _c, _u, number, reasons, _p: heard.granted.update(
        {str(number): not any(one.is_failure for one in reasons)}
    )
    client.on_disconnect = lambda _c, _u, _f, reason, _p: heard.ended.append(str(reason))
    if will:
        client.will_set(will, b"gone", qos=1, retain=True)
    if user:
        client.username_pw_set(user, password)
    if ca:
        client.tls_set(str(ca))
    host, _, port = address.rpartition(":")
    client.connect(host, int(port))
    client.loop_start()
    try:
        wait_until(lambda: heard.answers, "an answer to the connection")
        yield heard
    finally:
        client.disconnect()
        client.loop_stop()
        client._reset_sockets()  # which otherwise stay open until it is collected
