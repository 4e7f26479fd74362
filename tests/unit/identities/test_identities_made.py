"""Identities made at a start: fresh at every start, for their owners' eyes only."""

import re
import stat
from pathlib import Path

import pytest

from operate.identities import Identities
from proto.permissions import ACCOUNTS, user_of
from services.frames.sealing.settings import SealingSettings
from services.ingest.settings import IngestFile
from services.kernel.settings import Secret, load

USERS = [user_of(identity, account) for identity, where in ACCOUNTS.items() for account in where]
SERVICES = ["ingest", "inference", "aggregate", "notify"]


@pytest.fixture(name="made")
def _made(tmp_path: Path) -> Identities:
    return Identities.make(tmp_path / "identities")


KEYS = ("inference.key", "inference.pub", "ingest.key", "ingest.pub")


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_a_seed_per_user(made: Identities):
    """One for each user, all different, of NATS's own form; the public key tells none of them."""
    assert set(made.seeds) == set(USERS)
    assert len({seed.reveal() for seed in made.seeds.values()}) == len(USERS)
    assert all(re.fullmatch(r"SU[A-Z2-7]{56}", seed.reveal()) for seed in made.seeds.values())
    assert all(re.fullmatch(r"U[A-Z2-7]{55}", key) for keys in made.public.values() for key in keys)


def test_others_cannot_read_them(made: Identities):
    """The folder and its files are their owner's alone."""
    files = list(made.folder.iterdir())
    assert mode(made.folder) == 0o700
    assert {path.name for path in files} == {*(f"{user}.nk" for user in USERS), *KEYS}
    assert {mode(path) for path in files} == {0o600}


def test_what_was_there_is_closed(tmp_path: Path):
    """A folder and files from before, open to others, or links to elsewhere, are not believed."""
    folder, elsewhere = tmp_path / "identities", tmp_path / "elsewhere"
    folder.mkdir(mode=0o755)
    (folder / "ingest.nk").write_text("old")
    (folder / "ingest.nk").chmod(0o644)
    elsewhere.write_text("untouched")
    (folder / "notify.nk").symlink_to(elsewhere)
    made = Identities.make(folder)
    assert mode(folder) == 0o700
    assert {mode(path) for path in folder.iterdir()} == {0o600}
    assert (folder / "ingest.nk").read_text() == made.seeds["ingest"].reveal()
    assert elsewhere.read_text() == "untouched"


def test_every_start_makes_new_ones(made: Identities):
    """Nothing that leaked lasts."""
    again = Identities.make(made.folder)
    assert not {*again.seeds.values()} & {*made.seeds.values()}


@pytest.mark.parametrize("signer", ["ingest", "inference"])
def test_the_key_pair_fits(made: Identities, signer):
    """What inference signs, ingest can check, and the other way round."""
    private = SealingSettings(signing_key=Secret((made.folder / f"{signer}.key").read_text())).private()
    (public,) = SealingSettings(verify_key=Secret((made.folder / f"{signer}.pub").read_text())).trusted()
    public.verify(private.sign(b"announcement"), b"announcement")


@pytest.mark.parametrize("identity", SERVICES)
def test_a_service_gets_its_own_secrets(made: Identities, identity):
    """By files, not by value, and no other's: only ingest and inference know of MORETTA_FRAMES, each its own key."""
    environment = made.environment(identity)
    files = {name: Path(value) for name, value in environment.items() if name.endswith("_FILE")}
    secrets = {path.name for path in files.values()}
    frames = {f"{identity}-frames.nk"} if identity in {"ingest", "inference"} else set()
    pairs = {"inference": {"inference.key", "ingest.pub"}, "ingest": {"ingest.key", "inference.pub"}}
    assert secrets == {f"{identity}.nk"} | frames | pairs.get(identity, set())
    assert not set(environment.values()) & {path.read_text() for path in made.folder.iterdir()}


def test_settings_take_them(made: Identities, tmp_path: Path):
    """The environment is what the settings' loader reads."""
    file = tmp_path / "m.yaml"
    file.write_text("sites: [{id: a}]")
    nats = load(file, IngestFile, made.environment("ingest")).nats
    assert nats == made.settings("ingest", "nats://127.0.0.1:4222")
    assert nats.frames_seed == made.seeds["ingest-frames"]
    assert made.settings("notify", "nats://h").frames_seed is None
