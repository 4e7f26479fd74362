"""The gate: what was released is still offered and understood.

Until there is a release, the present contract is frozen into a folder of its own, and changed.
"""

import copy
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
from golden import encodings
from kept import SUMS, damage, releases
from offered import narrowed, offered
from released import Contract, add, frozen, lost, present, taken_away

WINDOWS = "moretta.v1.windows.{site}.{zone}"
STATS = "moretta.v1.stats.{site}"
Edit = Callable[[dict[str, Any]], object]


def test_every_release_is_still_offered_and_understood():
    """Schemas, subjects, streams and rights are kept or added to; what was sent is read, and nothing of it is lost."""
    for release in releases():
        assert [*taken_away(frozen(release), present())] == []
        assert [*lost(release)] == []


@pytest.fixture(name="folder")
def _folder(tmp_path: Path) -> Path:
    """Two releases of the present contract."""
    add("0.1.0", tmp_path / "released")
    return add("0.2.0", tmp_path / "released").parent


def test_what_is_frozen_is_the_present(folder: Path):
    """All of it comes back as it went in, checksums included; the same version is not frozen twice."""
    release = folder / "0.1.0"
    assert frozen(release) == present()
    assert ([*taken_away(frozen(release), present())], [*lost(release)], [*damage(folder)]) == ([], [], [])
    assert len(list(release.iterdir())) == len(encodings()) + 3
    for path in releases(folder):
        subprocess.run(["sha256sum", "--check", "--strict", "--quiet", SUMS], cwd=path, check=True)
    with pytest.raises(FileExistsError):
        add("0.1.0", folder)


def test_a_message_that_is_gone_or_changed_is_told(folder: Path):
    """With its name; a new one is an addition."""
    old, schemas = frozen(folder / "0.1.0"), copy.deepcopy(present().schemas)
    schemas["LaterV1"] = schemas.pop("DeadV1")
    schemas["CameraV1"]["$defs"]["Lifetime"]["properties"].pop("late")
    told = sorted(taken_away(old, Contract(schemas, present().subjects)))
    assert told == ["CameraV1: Lifetime.late: is gone", "DeadV1: is gone"]


@pytest.mark.parametrize(
    ("now", "told"),
    [
        ({"late_total": 3}, []),
        ({"formerly": 3}, ["WindowV1: not all of it is read"]),
        ({"rate": 5}, ["WindowV1: Expected `float` <= 1.0 - at `$.rate`"]),
    ],
)
def test_released_bytes_are_read_and_nothing_is_lost(folder: Path, now: dict[str, Any], told: list[str]):
    """A field that nobody reads any more is lost, though nothing is refused."""
    path = folder / "0.1.0" / "WindowV1.json"
    path.write_bytes(msgspec.json.encode(msgspec.json.decode(path.read_bytes()) | now))
    assert [*lost(folder / "0.1.0")] == told


def test_released_bytes_in_another_encoding(folder: Path):
    """Of internal messages as well, whose subjects are not in the offer."""
    golden = folder / "0.1.0" / "DeadV1.msgpack"
    golden.rename(golden.with_suffix(".json"))
    assert [*lost(folder / "0.1.0")] == ["DeadV1: was json, is msgpack"]


def row(offer: dict[str, Any], pattern: str = WINDOWS) -> dict[str, Any]:
    found: dict[str, Any] = offer["subjects"][pattern]
    return found


def kept(offer: dict[str, Any], name: str = "WINDOWS") -> dict[str, Any]:
    found: dict[str, Any] = offer["streams"][name]
    return found


def rights(offer: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = offer["rights"]["subscriber"]
    return found


NARROWED: dict[str, Edit] = {
    f"$.subjects[{STATS}]: is gone": lambda o: o["subjects"].pop(STATS),
    f'$.subjects[{WINDOWS}].message: was "WindowV1", is "WindowV2"': lambda o: row(o).update(message="WindowV2"),
    f'$.subjects[{WINDOWS}].encoding: was "json", is "msgpack"': lambda o: row(o).update(encoding="msgpack"),
    f"$.subjects[{WINDOWS}].subscribers: lacks subscriber": lambda o: row(o)["subscribers"].remove("subscriber"),
    f'$.subjects[{WINDOWS}].stream: was "WINDOWS", is null': lambda o: row(o).update(stream=None),
    f'$.subjects[{WINDOWS}].account: was "MORETTA", is "MORETTA_FRAMES"': lambda o: row(o).update(
        account="MORETTA_FRAMES"
    ),
    f'$.subjects[{WINDOWS}].queue: was null, is "one"': lambda o: row(o).update(queue="one"),
    f"$.subjects[{WINDOWS}].headers.Content-Type: is gone": lambda o: row(o)["headers"].clear(),
    f"$.subjects[{WINDOWS}].sealed: was absent, is true": lambda o: row(o).update(sealed=True),
    f"$.subjects[{STATS}].publishers: lacks subscriber": lambda o: row(o, STATS)["publishers"].remove("subscriber"),
    f'$.subjects[{STATS}].reply: was "StatsReplyV1", is null': lambda o: row(o, STATS).update(reply=None),
    f'$.subjects[{STATS}].queue: was "moretta-stats", is null': lambda o: row(o, STATS).update(queue=None),
    f'$.subjects[{STATS}].service.name: was "moretta-stats", is "stats"': lambda o: row(o, STATS)["service"].update(
        name="stats"
    ),
    f"$.subjects[{STATS}].service.version: was 1.0.0, is 2.0.0": lambda o: row(o, STATS)["service"].update(
        version="2.0.0"
    ),
    "$.streams[WINDOWS].max_age_s: was 34560000.0, is 60": lambda o: kept(o).update(max_age_s=60),
    "$.streams[WINDOWS].max_bytes: was 268435456, is 1": lambda o: kept(o).update(max_bytes=1),
    "$.streams[WINDOWS].per_subject: was -1, is 1": lambda o: kept(o).update(per_subject=1),
    "$.streams[CAMERAS].max_age_s: was null, is 1": lambda o: kept(o, "CAMERAS").update(max_age_s=1),
    '$.streams[WINDOWS].storage: was "file", is "memory"': lambda o: kept(o).update(storage="memory"),
    "$.streams[WINDOWS].expires: was false, is true": lambda o: kept(o).update(expires=True),
    "$.streams[WINDOWS].subjects: lacks moretta.v1.windows.*.*": lambda o: kept(o)["subjects"].clear(),
    "$.streams[RULES]: is gone": lambda o: o["streams"].pop("RULES"),
    "$.rights[subscriber]: is gone": lambda o: o["rights"].pop("subscriber"),
    "$.rights[subscriber].publish: lacks $JS.API.DIRECT.GET.>": lambda o: rights(o)["publish"].remove(
        "$JS.API.DIRECT.GET.>"
    ),
    "$.rights[subscriber].subscribe: lacks _INBOX.>": lambda o: rights(o)["subscribe"].remove("_INBOX.>"),
    '$.rights[subscriber].account: was "MORETTA_SUBSCRIBERS", is "MORETTA"': lambda o: rights(o).update(
        account="MORETTA"
    ),
}


@pytest.mark.parametrize(("said", "edit"), NARROWED.items(), ids=NARROWED)
def test_what_is_offered_no_longer_is_named(said: str, edit: Edit):
    """Subjects, messages, encodings, readers, queue groups, services, retention, rights: with their path, alone."""
    now = offered()
    edit(now)
    assert narrowed(offered(), now) == [said]


@pytest.mark.parametrize("section", ["subjects", "streams", "rights"])
def test_whatever_is_removed_from_the_offer_is_told(section: str):
    """Each column of each row, but explanations."""
    for name, part in offered()[section].items():
        for column in part.keys() - {"purpose"}:
            now = offered()
            del now[section][name][column]
            assert narrowed(offered(), now) == [f"$.{section}[{name}].{column}: is gone"]


def test_more_may_be_offered():
    """Subjects, streams, readers, rights, headers; longer, larger, without a limit; in other words."""
    now = offered()
    for section in now.values():
        section["later"] = {"purpose": "more"}
    row(now).update(purpose="in other words", sealed=False)
    row(now)["subscribers"].insert(0, "page")
    row(now)["headers"]["Nats-Msg-Id"] = "x"
    row(now, STATS)["service"].update(version="1.1.0", description="in other words")
    kept(now).update(max_age_s=None, max_bytes=1 << 40, subjects=["more", *kept(now)["subjects"]])
    kept(now, "CAMERAS").update(per_subject=-1)
    rights(now)["subscribe"].append("moretta.v1.more.*")
    assert narrowed(offered(), now) == []
