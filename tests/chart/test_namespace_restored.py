"""A namespace that is gone, made anew elsewhere from values, keys and a backup, by docs/how-to/restore-namespace.md."""

import asyncio
from pathlib import Path

import pytest
import secrecy
import yaml
from chart import RELEASE, merged, render
from command_line import moretta
from golden import BY_TYPE
from msgspec import structs
from rendered_nats import NAME, RenderedNats

from proto.subjects import NOTIFICATIONS, STREAMS, WINDOWS, Identity
from services.bus import Bus, NatsSettings
from services.bus.nkey import Seed

LIMIT_S = 60


class Namespace:
    """A namespace with the chart's server, by a folder of `moretta nats apply`."""

    def __init__(self, folder: Path, keys: Path, name: str) -> None:
        keys.mkdir(exist_ok=True)
        (keys / "nats.yaml").write_text(f"kubernetes: {{release: {RELEASE}, namespace: {name}}}\n")
        self.applied = moretta("nats", "apply", keys)
        assert self.applied.returncode == 0, self.applied.stderr
        self.keys, self.folder = keys, folder
        values = yaml.safe_load((keys / "values.yaml").read_text())
        self.server = RenderedNats(folder, render(merged(values, {}))[f"ConfigMap/{NAME}"]["data"]["nats.conf"])
        self.server.start()

    def secrets(self) -> set[str]:
        """Where `kubectl apply -f secrets.yaml` puts them."""
        return {one["metadata"]["namespace"] for one in yaml.safe_load_all((self.keys / "secrets.yaml").read_text())}

    def here(self, identity: str) -> Path:
        """The file for -c behind a port-forward, as docs/operations.md has it."""
        file = self.folder / f"here-{identity}.yaml"
        told = {"url": self.server.url, "user": identity, "seed_file": str(self.keys / f"{identity}.nk")}
        file.write_text(yaml.safe_dump({"nats": told}))
        return file

    async def bus(self, identity: Identity) -> Bus:
        seed = Seed((self.keys / f"{identity}.nk").read_text().strip())
        secrecy.keep(seed.reveal())
        return await Bus.connect(NatsSettings(url=self.server.url, user=identity, seed=seed), identity)

    async def persons(self) -> list[int]:
        bus = await self.bus("aggregate")
        try:
            return [one.message.persons for one in await bus.history(WINDOWS)]
        finally:
            await bus.close()

    async def store(self, *persons: int) -> None:
        """What aggregate does when it starts, and when windows close."""
        bus = await self.bus("aggregate")
        try:
            await bus.ensure_streams(stream.name for stream in STREAMS)
            for number in persons:
                await bus.store(WINDOWS, structs.replace(BY_TYPE[WINDOWS.message], persons=number))
        finally:
            await bus.close()


@pytest.mark.parametrize("keys", ["kept", "lost"])
@pytest.mark.timeout(240)
async def test_a_namespace_is_restored_elsewhere(tmp_path: Path, keys: str):
    """With the same keys, or with new ones: windows and deliveries are there, and what started early is put aside."""
    old = Namespace(tmp_path / "old", tmp_path / "nats", "masks")
    try:
        await old.store(1, 2, 3)
        notify = await old.bus("notify")
        await notify.store(NOTIFICATIONS, BY_TYPE[NOTIFICATIONS.message])
        await notify.close()
        saved = await asyncio.to_thread(moretta, "backup", "--out", tmp_path / "taken", "-c", old.here("backup"))
        assert saved.returncode == 0, saved.stderr
        assert f"{tmp_path / 'taken'}: whole" in saved.stdout
    finally:
        old.server.stop()
    before = (tmp_path / "nats/backup.nk").read_text()
    folder = tmp_path / ("nats" if keys == "kept" else "new")
    new = Namespace(tmp_path / "new-place", folder, "masks2")
    try:
        assert new.secrets() == {"masks2"}
        assert ((folder / "backup.nk").read_text() == before) == (keys == "kept")
        await new.store(9)  # aggregate was there for a moment
        restore = ("restore", tmp_path / "taken", "-c", new.here("backup"))
        refused = await asyncio.to_thread(moretta, *restore)
        assert refused.returncode == 2
        assert "hold messages already; with --replace" in refused.stderr
        done = await asyncio.to_thread(moretta, *restore, "--replace")
        assert done.returncode == 0, done.stderr
        assert "put back; start the services" in done.stdout
        assert await new.persons() == [1, 2, 3]
        notify = await new.bus("notify")
        assert [one.message for one in await notify.history(NOTIFICATIONS)] == [BY_TYPE[NOTIFICATIONS.message]]
        await notify.close()
        await new.store(4)
        assert await new.persons() == [1, 2, 3, 4]
    finally:
        new.server.stop()
