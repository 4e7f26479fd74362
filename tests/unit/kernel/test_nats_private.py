"""What is private to nats-py is touched in one module, which was read beside one version of it."""

import inspect
import re
from importlib.metadata import version
from pathlib import Path

import nats.aio.client
import nats.aio.subscription
import nats.aio.transport
import nats.js.client
import nats.micro.service

from services.bus.connection import client

ROOT = Path(__file__).parents[3]
PRIVATE = {
    "_connect_command", "_endpoints", "_flush_pending", "_flusher_task", "_io_writer", "_nc", "_pending",
    "_pending_data_size", "_ping_interval_task", "_pongs", "_process_connect_init", "_process_headers", "_ps",
    "_public_nkey", "_reading_task", "_reconnection_task", "_send_ping", "_send_subscribe", "_server_info", "_subs",
    "_transport", "_wait_for_msgs_task",
}  # fmt: skip


def test_it_is_the_version_that_was_read():
    """Another may have changed what nobody promised: read client.py beside it, then change this line."""
    assert version("nats-py").startswith("2.16.")


def test_what_is_private_is_there():
    """Each name, in the client, a JetStream context, a subscription or a micro service."""
    modules = (nats.aio.client, nats.aio.subscription, nats.aio.transport, nats.js.client, nats.micro.service)
    text = "".join(inspect.getsource(module) for module in modules)
    assert {name for name in PRIVATE if name not in text} == set()


def test_no_other_module_touches_it():
    """ruff refuses private members of others (SLF001), but where a line says that it may; our own classes have none."""
    files = [
        file for top in ("services", "operate", "testbed", "moretta", "bench") for file in (ROOT / top).rglob("*.py")
    ]
    lines = [(f, line) for f in files for line in f.read_text("utf-8").splitlines() if "SLF001" in line]
    allowed = Path(inspect.getfile(client)).name
    theirs = re.compile("|".join([*(rf"\.{name}\b" for name in PRIVATE), r"msg\._client"]))
    found = [(f.name, line.strip()) for f, line in lines if f.name != allowed and theirs.search(line)]
    assert found == []
    assert not [f for f, _ in lines if f.parent.name == "bus" and f.name != allowed]
