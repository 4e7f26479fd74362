"""An operator's command gives up in time, also where the library loses the cancellation (before Python 3.12)."""

import asyncio

import pytest

from operate import orders
from services.bus import Bus
from services.kernel.settings import SettingsError


async def test_a_lost_cancellation_holds_up_nobody(tmp_path, monkeypatch):
    tries = []

    async def connect(*_given, **_more):
        while True:
            tries.append(1)
            try:
                await asyncio.sleep(3_600)
            except asyncio.CancelledError:
                if len(tries) > 1:
                    raise

    monkeypatch.setattr(Bus, "connect", connect)
    monkeypatch.setattr(orders, "_CONNECT_S", 0.05)
    (file := tmp_path / "operator.yaml").write_text("nats: {url: 'nats://127.0.0.1:9', user: operator}\n")
    with pytest.raises(SettingsError, match=r"nats.url: no connection to nats://127.0.0.1:9 in 0.05 s"):
        await asyncio.wait_for(orders.operator_bus(file), 20)
    assert len(tries) == 2
