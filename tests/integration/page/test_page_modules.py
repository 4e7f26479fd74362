"""The page's modules: the pure ones under Node.js, their words beside the contract's, the bundles beside their lock."""

import contextlib
import csv
import filecmp
import io
import json
import shutil
import subprocess
from datetime import datetime
from itertools import pairwise
from pathlib import Path
from typing import get_args

from golden import BY_TYPE
from lacking import lacks
from msgspec import structs
from windows import HOUR, MINUTE, hidden, window

from operate.stats.stats_table import as_csv
from proto.codec import as_json
from proto.public import OperationalKind, Suppression
from proto.stats import StatsReplyV1
from proto.types import AlertState, CameraState, Severity
from services.sites.profiles import PROFILES
from services.statistics.calendar import TimeRange
from services.statistics.columns import COLUMNS
from services.statistics.roll_ups import Tally

ROOT = Path(__file__).parents[3]
PAGE = ROOT / "services/aggregate/page"
MADE = ROOT / "build/page"
T, LENGTH = 500_000 * HOUR, 20 * MINUTE
SAID = {
    "why": Suppression, "operation": OperationalKind, "camera": CameraState, "alert": AlertState,
    "severity": Severity,
}  # fmt: skip


def require(*needed: Path) -> None:
    """Skip by name without Node.js or what was made for it; fail if MORETTA_REQUIRE_ALL=1."""
    if shutil.which("node") and all(one.exists() for one in needed):
        return
    lacks("Node.js and the packages of .ci/page are needed: `make page`")


def node(*arguments: str, folder: Path = ROOT) -> str:
    """What Node.js prints; it must end well."""
    done = subprocess.run(["node", *arguments], capture_output=True, text=True, timeout=100, check=False, cwd=folder)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def evaluated(expression: str, module: str):
    """The value of an expression over a module of the page."""
    script = (
        f"const m = await import({json.dumps((PAGE / module).as_uri())}); console.log(JSON.stringify({expression}))"
    )
    return json.loads(node("--input-type=module", "-e", script))


def test_the_pure_parts():
    """The files beside this one, under Node's test runner."""
    require()
    node("--test", *map(str, sorted(Path(__file__).parent.glob("*.test.mjs"))))


def test_every_word_of_the_contract_has_words():
    """In English, beside which page.test.mjs holds French."""
    require()
    known = set(evaluated("Object.keys(m.LANGUAGES.en)", "words.js"))
    assert {f"{place}.{word}" for place, words in SAID.items() for word in get_args(words)} - known == set()


def test_a_profile_is_known_as_the_policy_has_it():
    """Whether it publishes alerts and zones, and that each publishes no more than the one before it."""
    require()
    told = json.dumps([{"name": one, "rules": t.rules, "zones": t.zones} for one, t in PROFILES.items()])
    asked = f"(m.learn({told}), {json.dumps(list(PROFILES))}.map((one) => [m.hasRules(one), m.hasZones(one)]))"
    assert evaluated(asked, "profile.js") == [[terms.rules, terms.zones] for terms in PROFILES.values()]
    for laxer, stricter in pairwise(PROFILES.values()):
        assert laxer.min_window_s <= stricter.min_window_s
        assert (laxer.zones, laxer.rules) >= (stricter.zones, stricter.rules)
        assert laxer.small <= stricter.small or stricter.figures is not None


def cells(text: str) -> list[dict[str, object]]:
    """A CSV's rows with what each cell means: JavaScript writes 1 where Python writes 1.0."""
    return [
        {
            name: datetime.fromisoformat(value) if name in {"start", "end"} else number(value)
            for name, value in row.items()
        }
        for row in csv.DictReader(io.StringIO(text))
    ]


def number(value: str) -> object:
    with contextlib.suppress(ValueError):
        return float(value)
    return value


def test_the_page_saves_what_stats_prints():
    """Column for column: of an answer, of a window that came since, and of one that was withheld."""
    require()
    (tally := Tally(TimeRange(T, T + LENGTH))).add(window(T, gaps=["paused"], model="m-1"))
    (small := Tally(TimeRange(T, T + LENGTH))).add(hidden(T))
    answer = BY_TYPE[StatsReplyV1]
    of_window = [one.period("cannes", "_site") for one in (tally, small)]
    given = [*answer.periods, window(T, gaps=["paused"], model="m-1"), hidden(T)]
    printed = as_csv(structs.replace(answer, timezone="Europe/Paris", periods=[*answer.periods, *of_window]))
    messages, model = (f"(await import({json.dumps((PAGE / name).as_uri())}))" for name in ("messages.js", "model.js"))
    periods = f"{messages}.timed({as_json(given).decode()}).map({model}.period)"
    saved = evaluated(f"(m.head({json.dumps(COLUMNS)}), m.csv({periods}, 'Europe/Paris'))", "csv.js")
    assert cells(saved) == cells(printed)
    assert saved.splitlines()[0] == printed.splitlines()[0]


def test_the_bundles_are_what_the_lock_makes(tmp_path: Path):
    """Byte for byte, with their licences; the lock names no registry."""
    require(MADE / "node_modules")
    assert '"resolved"' not in (ROOT / ".ci/page/package-lock.json").read_text()
    node("bundle.mjs", str(tmp_path), folder=MADE)
    made = sorted(one.name for one in tmp_path.iterdir())
    assert made == ["LICENSES.txt", "nats.js", "nkeys.js"]
    _, wrong, missing = filecmp.cmpfiles(tmp_path, PAGE, made, shallow=False)
    assert (wrong, missing) == ([], []), "run `make page`"
