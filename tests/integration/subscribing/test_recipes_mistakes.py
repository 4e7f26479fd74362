"""What is wrong at the start of a recipe ends it at once, with a line that says what to set right, and exit code 2."""

import asyncio
import contextlib

import pytest
from authority import Authority
from nats_process import NatsProcess
from recipe_place import PYTHON, name_of, some, store
from recipes import COMPILE_S, COMPILED, Recipe

from operate.identities import Identities, nats_config
from operate.identities.server import Tls

pytestmark = [pytest.mark.usefixtures("needs_recipes"), pytest.mark.timeout(COMPILE_S + 60)]

EACH = [f"{PYTHON} latest.py", "node latest.mjs", COMPILED]
PROGRAMS = ["latest.py", "windows.py", "replay.py", "alerts.py cannes", "history.py cannes", "nothing_missed.py"]
NODE = ["node latest.mjs", "node windows.mjs"]
EVERY = [*EACH, *(f"{PYTHON} {one}" for one in PROGRAMS[1:]), NODE[1]]


async def ends(run, command: str, **changes: str) -> list[str]:
    """What it says on standard error; nothing else comes of it."""
    code, lines, words = await asyncio.to_thread(run(command, **changes).result)
    assert (code, lines) == (2, []), words
    return words


@pytest.fixture(name="secure", scope="module")
def _secure(site, tmp_path_factory):
    """The variables for a server that asks for a certificate, with the same keys."""
    folder, authority = tmp_path_factory.mktemp("secure"), Authority()
    both, ca = folder / "both.pem", folder / "ca.pem"
    both.write_bytes(authority.issue("localhost"))
    ca.write_bytes(authority.pem)
    tls = Tls(str(both), str(both), str(ca))
    server = NatsProcess(folder, whole=lambda port, kept: nats_config(port, kept, site.identities.public, tls=tls))
    server.start()
    with contextlib.ExitStack() as stack:
        stack.callback(server.stop)
        url = f"tls://localhost:{server.port}"
        yield {"NATS_URL": url, "NATS_CA": str(ca), "NATS_CERT": str(both), "NATS_KEY": str(both)}


@pytest.mark.parametrize("command", EACH, ids=name_of)
async def test_tls_that_was_asked_for(site, run, secure, command):
    """Where NATS_CA or tls:// asks for it, a server without is spoken to by nobody."""
    for changes in ({"NATS_CA": secure["NATS_CA"]}, {"NATS_URL": site.server.url.replace("nats:", "tls:")}):
        (words,) = await ends(run, command, **changes)
        assert "it offers no TLS" in words
        assert "NATS_CA" in words


@pytest.mark.parametrize("command", EVERY, ids=name_of)
async def test_where_it_connects(run, tmp_path, command):
    """An address without a server, a host that is none, a seed of yesterday, of another identity, and none at all."""
    others = Identities.make(tmp_path / "others")
    (tmp_path / "empty.nk").write_text("nothing\n")
    cases = {
        "nobody listens there": {"NATS_URL": "nats://127.0.0.1:1"},
        "no such host": {"NATS_URL": "nats://nowhere.invalid:4222"},
        "NATS_NKEY (": {"NATS_NKEY": str(others.folder / "subscriber.nk")},
        "no such file": {"NATS_NKEY": "nowhere.nk"},
        "seed": {"NATS_NKEY": str(tmp_path / "empty.nk")},
    }
    for said, changes in cases.items():
        (words,) = await ends(run, command, **changes)
        assert said.lower() in words.lower()
        assert all(value in words for value in changes.values())


@pytest.mark.parametrize("command", EACH, ids=name_of)
async def test_a_seed_in_the_place_of_its_file(site, run, command):
    """It is told from a file's name, and never said."""
    seed = (site.identities.folder / "subscriber.nk").read_text().strip()
    (words,) = await ends(run, command, NATS_NKEY=seed)
    assert words.startswith("NATS_NKEY names the file of the seed, and holds a seed itself")
    assert seed[2:] not in words


@pytest.mark.parametrize("command", EACH, ids=name_of)
async def test_a_number_in_the_place_of_a_name(run, secure, command):
    """A certificate for the name localhost is not believed of 127.0.0.1, which might be anybody's forwarded port."""
    (words,) = await ends(run, command, **secure | {"NATS_URL": secure["NATS_URL"].replace("localhost", "127.0.0.1")})
    assert "are NATS_CA, and the name in NATS_URL, right?" in words
    assert "127.0.0.1" in words


@pytest.mark.parametrize("command", EACH, ids=name_of)
async def test_an_address_without_a_scheme(site, run, command):
    """As the command `nats` takes it."""
    await store(site, *some("cannes"))
    recipe = run(f"{command} cannes", NATS_URL=site.server.url.removeprefix("nats://"))
    await asyncio.to_thread(recipe.until, lambda: len(recipe.printed) >= 2, "two lines", COMPILE_S)


@pytest.mark.parametrize("command", EACH, ids=name_of)
async def test_an_address_that_is_none(run, command):
    """Another scheme, and a password, which is not said."""
    for url in ("http://127.0.0.1:4222", "nats://me:secret@127.0.0.1:4222", "me:secret@127.0.0.1:4222"):
        (words,) = await ends(run, command, NATS_URL=url)
        assert words.startswith("NATS_URL: '")
        assert "is no address such as nats://" in words
        assert "secret" not in words


@pytest.mark.parametrize("command", EACH, ids=name_of)
async def test_another_identity(site, run, command):
    """A seed that may not read: the server's own words, and what to set."""
    (words,) = await ends(run, command, NATS_NKEY=str(site.identities.folder / "inference.nk"))
    assert "permissions violation" in words.lower()
    assert words.endswith("is the seed in NATS_NKEY that of subscriber?")


@pytest.mark.parametrize("command", EACH, ids=name_of)
async def test_certificates(run, secure, tmp_path, command):
    """A file that is none, a key that is not named, no certificate, and those of another authority."""
    other = Authority()
    ca, cert = tmp_path / "ca.pem", tmp_path / "cert.pem"
    ca.write_bytes(other.pem)
    cert.write_bytes(other.issue("localhost"))
    cases = [
        ("nowhere.pem", {"NATS_CA": "nowhere.pem"}),
        ("NATS_KEY", {"NATS_KEY": ""}),
        ("NATS_CERT", {"NATS_CERT": "", "NATS_KEY": ""}),
        ("NATS_CERT", {"NATS_CERT": str(cert), "NATS_KEY": str(cert)}),
        ("NATS_CA", {"NATS_CA": str(ca)}),
    ]
    for said, changes in cases:
        (words,) = await ends(run, command, **secure | changes)
        assert said in words, changes


@pytest.mark.parametrize("command", [one for one in EVERY if "alerts" not in one and "history" not in one], ids=name_of)
async def test_what_is_typed_wrong(run, command):
    """An option that is none and a name that can be no site are answered with the usage."""
    for words in ("--nonsense", "Cannes.North"):
        said = await ends(run, f"{command} {words}")
        assert any("usage" in one for one in said)
        assert not any("Traceback" in one for one in said)


@pytest.mark.parametrize("command", [f"{PYTHON} alerts.py", f"{PYTHON} history.py"], ids=name_of)
async def test_no_site(run, command):
    """What needs a site says so."""
    said = await ends(run, command)
    assert said[0].startswith("usage")
    assert "SITE" in said[-1]


@pytest.mark.parametrize(
    "command", [f"{PYTHON} latest.py", f"{PYTHON} replay.py", f"{PYTHON} history.py", "node latest.mjs"], ids=name_of
)
async def test_an_unknown_site(site, run, command):
    """A site that is none is told from one without windows, and which there are."""
    await store(site, *some("cannes"))
    assert await ends(run, f"{command} canes") == ["no window of site canes was published yet; there are: cannes"]


@pytest.mark.parametrize(
    "command", [f"{PYTHON} windows.py", f"{PYTHON} alerts.py", "node windows.mjs", COMPILED], ids=name_of
)
async def test_an_unknown_site_may_come(site, run, command):
    """Who listens says it and goes on: a new site has no window yet."""
    await store(site, *some("cannes"))
    recipe = await asyncio.to_thread(run(f"{command} canes").listening, COMPILE_S)
    assert recipe.words[0] == "no window of site canes was published yet; there are: cannes"


async def test_a_time_to_come(run):
    """Nothing can have been published since then; it may be another zone's."""
    *_, words = await ends(run, f"{PYTHON} replay.py --since 2222-01-01")
    assert "'2222-01-01' is still to come" in words
    assert "UTC" in words


@pytest.mark.parametrize(
    ("file", "command"),
    [
        *((file, command) for file in ("reader.mjs", "rules.mjs", "node_modules") for command in NODE),
        *(("moretta_reader.py", command) for command in EVERY if command.startswith(PYTHON)),
    ],
)
async def test_a_part_that_is_missing(run, folder, file, command):
    """It is named in one line."""
    (folder / file).unlink()
    (words,) = await ends(run, command)
    assert (file if file != "node_modules" else "npm install") in words


async def test_a_position_that_is_none(run, folder):
    """A file that is no position is named, and left as it is."""
    (folder / "windows.position").write_text("[]")
    (words,) = await ends(run, f"{PYTHON} nothing_missed.py")
    assert words.startswith("windows.position cannot be read")
    assert (folder / "windows.position").read_text() == "[]"


async def test_without_its_packages(folder):
    """Python without nats-py says what to install."""
    code, _, words = await asyncio.to_thread(
        Recipe("python3 -S -I -c 'import sys; sys.path.insert(0, \".\"); import latest'", folder, {}).result
    )
    assert (code, len(words)) == (2, 1)
    assert "pip install 'nats-py[nkeys]'" in words[0]
