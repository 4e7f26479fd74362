"""A user's mistake is one line: where, what, what would be right; all mistakes at once, never a traceback."""

from pathlib import Path

import pytest
import yaml
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from services.ingest.settings import IngestFile
from services.kernel.settings import SECTIONS, SettingsError, load
from services.kernel.settings.source import read
from services.notify.settings import NotifyFile

GOOD = "sites: [{id: cannes, cameras: [{id: gate, url: /dev/video0}]}]"
SECRET = "hunter2"


@pytest.fixture(name="errors")
def _errors(tmp_path: Path):
    """`errors(yaml, VARIABLE=value)` returns the lines that loading this text says, without the file's name."""

    def errors(text: str | bytes, schema=IngestFile, **environ: str) -> list[str]:
        file = tmp_path / "moretta.yaml"
        file.write_bytes(text if isinstance(text, bytes) else text.encode())
        with pytest.raises(SettingsError) as error:
            load(file, schema, environ)
        lines = str(error.value).split("\n")
        assert len(lines) == len(error.value.problems)
        assert all(line.startswith(f"{file}: ") for line in lines)
        return [line.removeprefix(f"{file}: ") for line in lines]

    return errors


def test_a_missing_file(tmp_path: Path):
    """The file's name, and why it cannot be read."""
    with pytest.raises(SettingsError, match=r"^/.*/none\.yaml: cannot be read: No such file or directory; name a "):
        load(tmp_path / "none.yaml", IngestFile, {})


def test_a_folder(tmp_path: Path):
    """A folder is no file."""
    with pytest.raises(SettingsError, match="cannot be read: Is a directory"):
        load(tmp_path, IngestFile, {})


@pytest.mark.parametrize(
    ("text", "line"),
    [
        (b"\xff\xfe\x00", "is not UTF-8 text; a settings file is YAML"),
        ("sites: [\n  {id: a\n", "is not YAML: expected ',' or '}', but got '<stream end>' in line 3, column 1"),
        ("sites: []\n\tx: 1", "is not YAML: found character '\\t' that cannot start any token in line 2, column 1"),
        (f"nats: {{password: *{SECRET}}}", "is not YAML: found undefined alias ... in line 1, column 18"),
        (
            f"nats: {{password: !{SECRET} x}}",
            "is not YAML: could not determine a constructor for the tag ... in line 1, column 18",
        ),
        ("nats: {}\nsites: []\nnats: {}\n", "is not YAML: a key is there twice in line 3, column 1"),
        ("sites: [{id: a, id: b}]", "is not YAML: a key is there twice in line 1, column 17"),
        (
            "a: 2026-02-30",
            "is not YAML: a value is not what it looks like, such as a date that does not exist; quote it",
        ),
        ("a: !!bool x", "is not YAML: a value is not what it looks like, such as a date that does not exist; quote it"),
        ("a: &a [*a]\nsites: *a", "is nested too deeply, or refers to itself"),
        ("sites: " + "[" * 1_000, "is nested too deeply, or refers to itself"),
        ("- a\n- b", "must hold sections such as `sites:`, got a list of 2"),
        ("hello", "must hold sections such as `sites:`, got a text"),
        ("1: a", "must hold sections such as `sites:`, got a section"),
    ],
)
def test_what_is_no_settings_file(errors, text: str | bytes, line: str):
    """One line, with the place where YAML ends, and nothing quoted that could be a secret."""
    assert errors(text) == [line]


@pytest.mark.parametrize(
    ("text", "line"),
    [
        (f"{GOOD}\nfoo: 1", f"foo: unknown section; known are {', '.join(SECTIONS)}"),
        ("{}", "sites: is missing; must be a list of at least 1"),
        ("sites: []", "sites: must be a list of at least 1, got an empty list"),
        ("sites:", "sites: must be a list of at least 1, got nothing"),
        ("sites: {id: a}", "sites: must be a list of at least 1, got a section"),
        ("sites: [5]", "sites[0]: must be a section with id, name, timezone"),
        ("sites: [{name: a}]", "sites[0].id: is missing; must be 1-32 of a-z, 0-9 and inner hyphens"),
        ("sites: [{id: UP}]", "sites[0].id: must be 1-32 of a-z, 0-9 and inner hyphens, got 'UP'"),
        ("sites: [{id: no}]", "sites[0].id: must be 1-32 of a-z, 0-9 and inner hyphens, got False"),
        ("sites: [{id: a.b}]", "sites[0].id: must be 1-32 of a-z, 0-9 and inner hyphens, got 'a.b'"),
        ('sites: [{id: "a\\n"}]', "sites[0].id: must be 1-32 of a-z, 0-9 and inner hyphens, got 'a\\n'"),
        ("sites: [{id: a, lag: 1}]", "sites[0].lag: unknown key; known here are id, name, timezone"),
        (
            "sites: [{id: a, rules: [{id: r, fire_below: 70, clear_above: 0.9}]}]",
            "sites[0].rules[0].fire_below: must be a number at least 0 and at most 1, got 70; 70 % is 0.7",
        ),
        ("sites: [{id: a, tracking: {hits: 1}}]", "sites[0].tracking.hits: unknown key; known here are min_hits, max_"),
        (
            "sites: [{id: a, profile: x}]",
            "sites[0].profile: must be one of alerting, fr-2021-269, lab, stats-only, got 'x'",
        ),
        ("sites: [{id: a, window_s: 0}]", "sites[0].window_s: must be a number above 0 and at most 86400, got 0"),
        ("sites: [{id: a, window_s: .nan}]", "sites[0].window_s: must be a number above 0 and at most 86400, got nan"),
        ("sites: [{id: a, window_s: 1h}]", "sites[0].window_s: must be a number above 0 and at most 86400, got '1h'"),
        ("sites: [{id: a, close_on_end: 1}]", "sites[0].close_on_end: must be true or false, got 1"),
        ("sites: [{id: a, cameras: x}]", "sites[0].cameras: must be a list, got another kind of value"),
        (
            "sites: [{id: a, cameras: [{id: b, url: x, long_side: 650}]}]",
            "sites[0].cameras[0].long_side: must be a whole number at least 160 and at most 1920 and a multiple of 32",
        ),
        ("sites: [{id: a, cameras: [{id: b}]}]", "sites[0].cameras[0].url: is missing; must be a text with at least 1"),
        (f"{GOOD}\nnats: {{replicas: 9}}", "nats.replicas: must be a whole number at least 1 and at most 5, got 9"),
        (f"{GOOD}\nnats: {{replicas: 1.5}}", "nats.replicas: must be a whole number at least 1 and at most 5, got 1.5"),
        (
            f"{GOOD}\nnats: {{url: http://h}}",
            "nats.url: must be a URL such as nats://host:4222, or tls, ws, wss; of a cluster several, with commas",
        ),
        (f"{GOOD}\nnats: {{password: 0123}}", "nats.password: must be a text in quotes, got another kind of value"),
        (f"{GOOD}\nnats: {{password: [{SECRET}]}}", "nats.password: must be a text in quotes, got a list of 1"),
        (f"{GOOD}\nnats: {{seed: {SECRET}}}", "nats.seed: must be the seed of a NATS user's nkey: 58 characters that"),
        (f"{GOOD}\nnats: {{seed: SUAPUBLICKEY}}", "nats.seed: must be the seed of a NATS user's nkey"),
        (f"{GOOD}\nnats: {{frames_seed_file: none.nk}}", "nats.frames_seed_file: cannot read 'none.nk': No such file"),
        (
            f"{GOOD}\nprobes: {{port: 70000}}",
            "probes.port: must be a whole number at least 0 and at most 65535, got 70000",
        ),
        (f"{GOOD}\nlog: {{levle: info}}", "log.levle: unknown key; known here are level, format; did you mean level?"),
        (f"{GOOD}\nlog: {{level: loud}}", "log.level: must be one of debug, error, info, warning, got 'loud'"),
        (f"{GOOD}\nnats: {{'a\\u2028b': 1}}", "nats.a\\u2028b: unknown key"),
        (f'{GOOD}\nnats: {{"a\\nb": 1}}', "nats.a?b: unknown key"),
        (f"{GOOD}\nnats: {{1: 1}}", "nats.1: unknown key"),
        (
            "sites: [{id: a, rules: [{id: r, fire_below: 0.5, clear_above: 0.6, name: {english: x}}]}]",
            "sites[0].rules[0].name.english: the key must be a language such as en or fr",
        ),
        (
            "sites: [{id: a, rules: [{id: r, fire_below: 0.5, clear_above: 0.6, name: {en: 7}}]}]",
            "sites[0].rules[0].name.en: must be a text with at least 1 characters and with at most 80 characters",
        ),
        # what no single field shows
        ("sites: [{id: a}, {id: a}]", "sites[1].id: 'a' is used 2 times; ids are unique"),
        ("sites: [{id: a, timezone: Mars}]", "sites[0].timezone: 'Mars' is no IANA time zone, such as Europe/Paris"),
        ("sites: [{id: a, zones: [{id: z}, {id: z}]}]", "sites[0].zones[1].id: 'z' is used 2 times; ids are unique"),
        ("sites: [{id: a, zones: [{id: _site}]}]", "sites[0].zones[0].id: '_site' is the whole site and is always"),
        (
            "sites: [{id: a, zones: [{id: z}], cameras: [{id: b, url: x, zone: y}]}]",
            "sites[0].cameras[0].zone: unknown zone 'y'; known here: z",
        ),
        (
            "sites: [{id: a, rules: [{id: r, zone: y, fire_below: 0.5, clear_above: 0.6}]}]",
            "sites[0].rules[0].zone: unknown zone 'y'; known here: _site",
        ),
        (
            "sites: [{id: a, rules: [{id: r, fire_below: 0.5, clear_above: 0.4}]}]",
            "sites[0].rules[0].clear_above: 0.4 is below fire_below 0.5; it may not be lower",
        ),
    ],
)
def test_one_mistake_is_one_line(errors, text: str, line: str):
    """Each kind of mistake: its path, its value, what would be right; and nothing else is complained of."""
    found = errors(text)
    assert len(found) == 1
    assert found[0].startswith(line)


def test_a_file_that_is_too_large_is_not_read(tmp_path: Path):
    """Junk ends at once, and so does a file without an end."""
    large = tmp_path / "large.yaml"
    large.write_text("a: b\n" * 300_000)
    for file in (large, Path("/dev/zero")):
        with pytest.raises(SettingsError, match="is larger than 1 MiB, which is what a ConfigMap holds"):
            read(file)


def test_all_mistakes_at_once(errors):
    """Everything wrong in a file is said in one go: keys, values, sections, secrets' files, and rules across fields."""
    found = errors(
        """
        sites:
          - id: a
            lag: 1
            window_s: -1
            timezone: Mars
            cameras: [{id: b, url: x, fps: 99}, {id: b, url: y, zone: nowhere}]
            rules: [{id: r, fire_below: 0.5, clear_above: 0.4, severity: loud}]
        nats: {replicas: 9, password_file: none.txt}
        extra: {}
        """,
        MORETTA_LOG__LEVEL="[",
        MORETTA_PROBES__PORT="-1",
    )
    assert sorted(line.split(": ")[0] for line in found) == [
        "extra",
        "log.level",
        "nats.password_file",
        "nats.replicas",
        "probes.port",
        "sites[0].cameras[0].fps",
        "sites[0].cameras[1].id",
        "sites[0].cameras[1].zone",
        "sites[0].lag",
        "sites[0].rules[0].clear_above",
        "sites[0].rules[0].severity",
        "sites[0].timezone",
        "sites[0].window_s",
    ]


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("none.txt", "cannot read 'none.txt': No such file or directory; name a readable file with the secret"),
        (".", "cannot read '.': Is a directory; name a readable file with the secret"),
        ("binary", "cannot read 'binary': not a text file; name a readable file with the secret"),
        ('"a\\0b"', "cannot read 'a\\x00b': not a text file; name a readable file with the secret"),
        ("empty", "'empty' is empty; it must hold the secret"),
        ("SU" + "A2" * 28, "names the file of the seed, and holds a seed itself; save that in a file and name it"),
        ("5", "must be the path of a file, got 5"),
        ("[x]", "must be the path of a file, got a list of 1"),
        ("", "must be the path of a file, got nothing"),
    ],
)
def test_a_secrets_file_that_is_none(errors, tmp_path: Path, name: str, why: str):
    """The key, the file and what would be right; anywhere in the settings."""
    (tmp_path / "binary").write_bytes(b"\xff\xfe")
    (tmp_path / "empty").write_bytes(b"\n")
    assert errors(f"{GOOD}\nnats: {{password_file: {name}}}") == [f"nats.password_file: {why}"]
    cameras = f"sites: [{{id: a, cameras: [{{id: b, url_file: {name}}}]}}]"
    assert errors(cameras) == [f"sites[0].cameras[0].url_file: {why}"]


def test_a_secret_given_twice(errors):
    """A secret and its file: neither may win in silence."""
    line = "nats.password_file: password is given too; give only one of them"
    assert errors(f"{GOOD}\nnats: {{password: x, password_file: y}}") == [line]


@pytest.mark.parametrize(
    ("variable", "value", "line"),
    [
        ("MORETTA_NATS__REPLICAS", "9", "nats.replicas: must be a whole number at least 1 and at most 5, got 9"),
        ("MORETTA_NATS", "5", "nats: must be a section with url, user, password"),
        ("MORETTA_NATS__X__Y", "1", "nats.x: unknown key; known here are url"),
        ("MORETTA_LOG__LEVEL", "[", "log.level: expected the node content, but found '<stream end>'"),
        ("MORETTA_NATS__PASSWORD_FILE", "/none", "nats.password_file: cannot read '/none': No such file"),
        ("MORETTA_SITES__0__ID", "x", "sites.0.id: sites is a list; the environment can only set it as a whole"),
        ("MORETTA_SITES", "[{id: UP}]", "sites[0].id: must be 1-32 of a-z, 0-9 and inner hyphens, got 'UP'"),
    ],
)
def test_a_mistake_in_the_environment(errors, variable: str, value: str, line: str):
    """What a variable brought is told with its name, since the file looks right."""
    found = errors(GOOD, **{variable: value})
    assert len(found) == 1
    assert found[0].startswith(line)
    assert found[0].endswith(f"(set by {variable})")


@pytest.mark.parametrize(
    "text",
    [
        f"nats: {{url: 'nats:/user:{SECRET}@h'}}",
        f"nats: {{url: 'http://user:{SECRET}@h/x'}}",
        f"nats: {{url: 'http://user:pa/{SECRET}@h/x'}}",
        f"nats: {{url: 'http://user:p@{SECRET}@h/x'}}",
        f"nats: {{url: 'http://h/?token={SECRET}'}}",
        f"nats: [{{password: {SECRET}}}]",
        f"nats: {{password: {{x: {SECRET}}}}}",
        f"nats: {{password: {SECRET}, passwort: {SECRET}, replicas: 9}}",
        f"sites: [{{id: a, cameras: [{{id: UP, url: 'rtsp://u:{SECRET}@h'}}]}}]",
        f"sites: [{{id: a, cameras: 'rtsp://u:{SECRET}@h'}}]",
        f"sites: [{{id: a, cameras: ['rtsp://u:{SECRET}@h']}}]",
        f"nats: {{password: {SECRET}}}\n{SECRET[:0]}x: [",
        f"nats: {{password: %{SECRET}}}",
    ],
)
def test_no_error_quotes_a_secret(errors, text: str):
    """However wrong the settings are, their errors can be pasted into a ticket."""
    assert not [line for line in errors(text) if SECRET in line]


def test_no_error_quotes_an_address(errors):
    """A recipient's address ends in no log, not even where a list was meant."""
    text = f"{GOOD}\nnotify: {{smtp: {{sender: a@example.org}}, receivers: [{{id: r, email: ana@example.org}}]}}"
    found = errors(text, NotifyFile)
    assert found == ["notify.receivers[0].email: must be a list, got '***@example.org'"]


_SCALARS = (
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | st.dates() | st.binary(max_size=4)
)
_KEYS = st.sampled_from([*SECTIONS, "id", "cameras", "zones", "rules", "url", "url_file", "password", "x"]) | st.text(
    max_size=4
)
_TREES = st.recursive(
    _SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_KEYS | _SCALARS, inner, max_size=4),
    max_leaves=12,
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(tree=st.dictionaries(_KEYS, _TREES, max_size=4))
def test_any_tree_is_settings_or_an_error(tmp_path: Path, tree: dict):
    """Whatever a YAML file holds, loading returns or says SettingsError, one line a problem."""
    try_load(tmp_path, yaml.dump(tree, allow_unicode=True).encode("utf-8", "surrogatepass"))


_TOKENS = [
    "sites:",
    "nats:",
    " ",
    "\n",
    "- ",
    "id: a",
    "{",
    "}",
    "[",
    "]",
    ",",
    "&a ",
    "*a",
    "!!set ",
    "!!binary ",
    "? ",
    "<<: ",
]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    data=st.lists(st.sampled_from(_TOKENS) | st.text(max_size=3), max_size=20).map(
        lambda p: "".join(p).encode("utf-8", "replace")
    )
)
@example(data=b"nats: 2026-99-99")
@example(data=b"<<: 5")
@example(data=b"nats: !!timestamp x")
@example(data=b"sites: !!omap [a]")
@example(data=b"? [a]\n: b")
@example(data=b"nats: !!int ''")
@example(data=b"\x00")
def test_any_text_is_settings_or_an_error(tmp_path: Path, data: bytes):
    """YAML-like text of any kind, too."""
    try_load(tmp_path, data)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    value=st.text(max_size=20),
    path=st.sampled_from(["NATS", "NATS__URL", "SITES", "NATS__X__Y", "LOG__LEVEL", "NATS__"]),
)
def test_any_environment_is_settings_or_an_error(tmp_path: Path, value: str, path: str):
    """And whatever the environment holds."""
    try_load(tmp_path, GOOD.encode(), {f"MORETTA_{path}": value})


def try_load(folder: Path, data: bytes, environ: dict[str, str] | None = None) -> None:
    (folder / "any.yaml").write_bytes(data)
    try:
        load(folder / "any.yaml", IngestFile, environ or {})
    except SettingsError as error:
        lines = str(error).splitlines()
        assert len(lines) == len(error.problems) > 0  # noqa: PT017


PAIR = "must be 2 values in brackets, each a number at least 0 and at most 1"
DAYS = "fri, mon, sat, sun, thu, tue, wed"


@pytest.mark.parametrize(
    ("camera", "lines"),
    [
        ("privacy: {areas: [[[0, 0], [300, 0], [1, 1]]], drawn_for: [640, 360]}",
         ["sites[0].cameras[0].privacy.areas[0][1][0]: must be a number at least 0 and at most 1, got 300"]),
        ("privacy: {areas: [[[0, 0], [1, 0], [1]]], drawn_for: [640, 360]}",
         [f"sites[0].cameras[0].privacy.areas[0][2]: {PAIR}, got a list of 1"]),
        ("rests: [{start: '20:00', end: '07:00', days: [monday]}]",
         [f"sites[0].cameras[0].rests[0].days[0]: must be one of {DAYS}, got 'monday'; did you mean mon?"]),
    ],
)  # fmt: skip
def test_what_is_wrong_within_a_pair_or_a_row_is_named(errors, camera, lines):
    """Points, sizes and days are asked one by one, and never called a text in quotes."""
    assert errors(f"sites: [{{id: cannes, cameras: [{{id: gate, url: /dev/video0, {camera}}}]}}]") == lines


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("sites: [{id: a, profile: lba}]", "lab"),
        ("sites: [{id: a, profile: Alerting}]", "alerting"),
        ("sites: [{id: a, profile: fr-2021}]", "fr-2021-269"),
        (f"{GOOD}\nlog: {{level: warn}}", "warning"),
        (f"{GOOD}\nlog: {{level: infos}}", "info"),
    ],
)
def test_a_choice_that_is_nearly_right_is_named(errors, text: str, meant: str):
    """A slip of the fingers, another case, a word cut short or too long: one choice is close, and is offered."""
    assert [line.rpartition("; ")[2] for line in errors(text)] == [f"did you mean {meant}?"]


@pytest.mark.parametrize("value", ["x", "loud", "''", "5", "[info]", "e r"])
def test_a_choice_that_is_like_none_gets_no_guess(errors, value: str):
    """Whoever wrote something else is told the choices, and nothing is made of it."""
    assert "did you mean" not in "".join(errors(f"{GOOD}\nlog: {{level: {value}}}"))
