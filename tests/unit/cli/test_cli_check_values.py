"""`moretta check-config --values` with files that are none, several of them, and where helm or the chart is missing."""

from pathlib import Path

import pytest
import yaml
from in_process import invoke

from operate.check_config import chart_rules
from operate.check_config.chart_rules import _by_schema, refusal
from operate.check_config.chart_values import MAX_BYTES
from operate.check_config.check_config import checked, checked_values, result
from services.kernel.settings import SettingsError

EXAMPLE = Path(__file__).parents[3] / "k8s/example-values.yaml"
CHART = Path(__file__).parents[3] / "k8s/moretta"
BILLIONS = "a: &a [1, 1, 1, 1, 1, 1, 1, 1, 1]\n" + "".join(
    f"{one}: &{one} [{', '.join(9 * ['*' + before])}]\n" for before, one in zip("abcdefgh", "bcdefghi", strict=True)
)


@pytest.fixture(autouse=True)
def _no_helm(monkeypatch):
    """Whatever this machine has."""
    monkeypatch.setenv("PATH", "/nowhere")
    monkeypatch.delenv("HELM", raising=False)


def refused(*files: Path) -> str:
    with pytest.raises(SettingsError) as error:
        checked_values([*files])
    return str(error.value)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"settings: [a", "is not YAML: "),
        (b"\xff\xfe\x00", "is not UTF-8 text"),
        (b"- a\n- b\n", "must hold sections such as `settings:`, got a list of 2"),
        (b"just words", "must hold sections such as `settings:`, got a text"),
        (b"", "settings: is missing"),
        (b"settings: []", "settings: is missing"),
        (b"settings: text", "settings: is missing"),
        (b"settings: {sites: {id: a}}", "settings.sites: must be a list"),
        (b"settings: {sites: [[]]}", "settings.sites[0]: must be a section"),
        (b"settings: {sites: []}\nnats: []\n", "settings.sites: must be a list"),
        (b"settings: {sites: []}\nnats: {hub: []}\n", "settings.sites: must be a list"),
        (b"settings: {1: a}", "settings: must hold sections such as `sites:`, got a section"),
        (b"a: 1\na: 2\n", "a key is there twice"),
        (b"a: " + MAX_BYTES * b"x", f"is larger than {MAX_BYTES} bytes"),
        (b"a: " + 50_000 * b"[" + 50_000 * b"]", "is nested too deeply"),
        (BILLIONS.encode(), "holds more than 200000 values, or refers to itself"),
        (b"a: &a [*a]\n", "holds more than 200000 values, or refers to itself"),
        (b"a: &a {b: *a}\n", "holds more than 200000 values, or refers to itself"),
    ],
)
def test_a_file_that_is_none(tmp_path, content, said):
    """One clear line with the file's name, whatever it holds."""
    (file := tmp_path / "mine.yaml").write_bytes(content)
    told = refused(file)
    assert told.startswith(f"{file}: ")
    assert said in told


def test_a_file_that_is_not_there(tmp_path):
    """Neither a file that is missing, nor a folder, nor one without an end."""
    assert "cannot be read: No such file" in refused(tmp_path / "none.yaml")
    assert "cannot be read: Is a directory" in refused(tmp_path)
    assert "is larger than" in refused(Path("/dev/zero"))


def test_several_files_are_merged_as_helm_does(tmp_path):
    """Sections key by key, lists as a whole; the error names the file that set what is wrong."""
    (over := tmp_path / "over.yaml").write_text("settings: {notify: {salt_file: /etc/moretta/secrets/other}}")
    keys = ("nats.keys", "not given yet: `moretta nats apply DIR` writes them, or set identities.make: true")
    assert checked_values([EXAMPLE, over])[-1] == keys
    over.write_text("identities: {make: true}")
    assert keys not in checked_values([EXAMPLE, over])
    (wrong := tmp_path / "wrong.yaml").write_text("settings: {notify: {receivers: [{id: a}]}}")
    assert refused(EXAMPLE, wrong, over).startswith(f"{wrong}: settings.notify.receivers[0]: reaches nobody")
    (both := tmp_path / "both.yaml").write_text("settings: {log: {level: loud}, sites: [{id: A}]}")
    assert all(line.startswith(f"{both}: settings.") for line in refused(EXAMPLE, over, both).splitlines())


NETWORKS = "networkPolicy: {cameras: {cidrs: [10.20.0.0/16]}, relays: {cidrs: [192.0.2.0/24]}}\n"
ELSEWHERE = """settings:
  sites: [{id: a, cameras: [{id: in, url: "rtsp://10.20.0.7/s"}, {id: out, url: "rtsp://ana:pw@10.0.0.5/s"},
    {id: name, url: "rtsp://gate.example.org/s"}, {id: file, url_file: /etc/moretta/secrets/url}]}]
  notify:
    smtp: {host: 198.51.100.9, sender: a@example.org}
    receivers: [{id: staff, email: [b@example.org]}]
    salt_file: /s
"""
CAMERA = (
    "settings.sites[0].cameras[1].url",
    "warning: 10.0.0.5 is in none of networkPolicy.cameras.cidrs, 10.20.0.0/16: add its network there",
)
MAIL = (
    "settings.notify.smtp.host",
    "warning: 198.51.100.9 is in none of networkPolicy.relays.cidrs, 192.0.2.0/24: add its network there",
)


@pytest.mark.parametrize(
    ("policy", "wanted"),
    [
        (NETWORKS, [CAMERA, MAIL]),
        ("", []),
        (NETWORKS.replace("{cameras", "{enabled: false, cameras"), []),
        (NETWORKS.replace("10.20.0.0/16", "10.20.0.0/16, 10.0.0.5/32"), [MAIL]),
        (NETWORKS.replace("10.20.0.0/16", "10.20.0.0/16, 10.0.7.7/16"), [MAIL]),
        (
            NETWORKS.replace("10.20.0.0/16", "10.20.0.0/16, everywhere"),
            [(CAMERA[0], CAMERA[1].replace("/16:", "/16, everywhere:")), MAIL],
        ),
        ("networkPolicy: {cameras: [], relays: {cidrs: 5}}\n", []),
    ],
    ids=["outside", "no networks", "no policies", "inside", "of a host", "no network", "nonsense"],
)
def test_addresses_that_the_policies_keep_away_are_named(tmp_path, policy, wanted):
    """Without the login of a camera's address; a name means something else in the cluster."""
    (file := tmp_path / "mine.yaml").write_text(ELSEWHERE + policy + "identities: {make: true}\n")
    told = [one for one in checked_values([file]) if "networkPolicy" in one[1]]
    assert told == wanted


def test_as_a_command(tmp_path, monkeypatch):
    """It says which files are good, and in the same line what was not checked, and how to; what it needs, it names."""
    run = invoke("check-config", "--values", str(EXAMPLE), "--values", str(EXAMPLE))
    told = "good for the services; not checked: the chart's schema and templates: no "
    assert (run.exit_code, run.stdout.count("\n")) == (0, 1)
    assert run.stdout.startswith(f"{EXAMPLE}, {EXAMPLE}: {told}helm on PATH (get it from https://helm.sh/docs/")
    assert run.stdout.endswith("; the files that it names were not opened\n")
    assert result([EXAMPLE], CHART, secrets=True).startswith(f"{told}helm on PATH")
    monkeypatch.chdir(tmp_path)
    assert f"{told}chart at k8s/moretta; name it with" in invoke("check-config", "--values", str(EXAMPLE)).stdout
    monkeypatch.setenv("HELM", "/bin/true")
    assert result([EXAMPLE], CHART, secrets=True) == "good; the files that it names were not opened"
    assert (result([], None, secrets=False), result([], None, secrets=True)) == (
        "good; the files that it names were not opened", "good",
    )  # fmt: skip
    for words, said in {
        (): "needs FILE, or --values FILE, and not both",
        ("a.yaml", "--values", "b.yaml"): "needs FILE, or --values FILE, and not both",
        ("a.yaml", "--chart", "b"): "--chart: goes with --values FILE",
        ("--values", str(EXAMPLE), "--chart", "b"): "--chart: 'b' is no chart; name a folder with Chart.yaml",
    }.items():
        with pytest.raises(SettingsError, match=said):
            invoke("check-config", *words)
    monkeypatch.setenv("HELM", "/nowhere/helm")
    with pytest.raises(SettingsError, match="HELM: '/nowhere/helm' is no program; set where helm is, or unset it"):
        checked_values([EXAMPLE])


SENTENCE = "settings.sites[0].rules[0].zone: unknown zone 'hal'; known here: hall"


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        (f"Error: execution error at (moretta/templates/a.yaml:3:4): {SENTENCE}\n\nUse --debug flag\n", SENTENCE),
        (f"level=INFO msg=x\nError: execution error at (a:1:2): {SENTENCE}", SENTENCE),
        ("Error: failed to parse a.yaml: x\n", "failed to parse a.yaml: x"),
        ("", "helm failed, and said nothing"),
    ],
)
def test_what_helm_says_loses_its_noise(said, expected):
    """The sentence of a template is left, or helm's own where it has one."""
    assert refusal(said) == expected


VALUES = {"ingest": {"replicas": 0}, "replicas": 2, "networkPolicy": {"cameras": {"ports": ["554"]}}}
BY_SCHEMA = {
    "3.17": """values don't meet the specifications of the schema(s) in the following chart(s):
moretta:
- (root): Additional property replicas is not allowed
- ingest.replicas: Must be greater than or equal to 1
- networkPolicy.cameras.ports.0: Invalid type. Expected: integer, given: string""",
    "4.1": """values don't meet the specifications of the schema(s) in the following chart(s):
moretta:
- at '': additional properties 'replicas' not allowed
- at '/ingest/replicas': minimum: got 0, want 1
- at '/networkPolicy/cameras': validation failed
  - at '/networkPolicy/cameras/ports/0': got string, want integer""",
}


WORDS = {
    "3.17": (
        "Additional property replicas is not allowed",
        "Must be greater than or equal to 1",
        "Invalid type. Expected: integer, given: string",
    ),
    "4.1": ("additional properties 'replicas' not allowed", "minimum: got 0, want 1", "got string, want integer"),
}


@pytest.mark.parametrize("version", BY_SCHEMA)
def test_a_schemas_refusal_has_the_path_and_the_value(version):
    """In helm's own words, whichever version says it. An unknown key's value is not shown: it may be a password."""
    unknown, bound, kind = WORDS[version]
    assert [*_by_schema(BY_SCHEMA[version], VALUES)] == [
        ("replicas", unknown),
        ("ingest.replicas", f"{bound} (the value is 0)"),
        ("networkPolicy.cameras.ports[0]", f"{kind} (the value is '554')"),
    ]


def test_a_helm_without_an_end(monkeypatch, tmp_path):
    """It is given up, in one line."""
    (program := tmp_path / "helm").write_text("#!/bin/sh\nexec /bin/sleep 60\n")
    program.chmod(0o755)
    monkeypatch.setenv("HELM", str(program))
    monkeypatch.setattr(chart_rules, "TIMEOUT_S", 0.1)
    with pytest.raises(SettingsError, match=r"helm: gave no answer within 0.1 s"):
        checked_values([EXAMPLE], CHART)


def test_a_release_is_no_option(monkeypatch, tmp_path):
    """A release's name that begins as an option of helm does is not handed to helm."""
    (program := tmp_path / "helm").write_text(f'#!/bin/sh\necho "$@" > {tmp_path}/words\n')
    program.chmod(0o755)
    monkeypatch.setenv("HELM", str(program))
    (file := tmp_path / "mine.yaml").write_text("nats: {release: --post-renderer=/bin/sh}")
    checked_values([EXAMPLE, file], CHART)
    assert (tmp_path / "words").read_text().startswith(f"template moretta {CHART} --values ")


def test_what_services_said_the_chart_does_not_repeat(monkeypatch, tmp_path):
    """A schema's line about a place of which services spoke already is left out; another one is added."""
    values = yaml.safe_load(EXAMPLE.read_text())
    values["settings"]["sites"][0]["windows_s"] = 1
    monkeypatch.setattr("operate.check_config.check_config.unlooked", lambda _: None)
    more = [("settings.sites[0]", "x"), ("settings.sites[0].windows_s", "y"), ("", "z is empty"), ("ingest.a", "b")]
    monkeypatch.setattr("operate.check_config.check_config.chart_problems", lambda *_: more)
    (file := tmp_path / "mine.yaml").write_text(yaml.safe_dump(values))
    with pytest.raises(SettingsError) as error:
        checked_values([file])
    assert [path for path, _ in error.value.problems] == ["settings.sites[0].windows_s", "", "ingest.a"]


def test_values_that_are_given_as_settings_are_recognised(tmp_path):
    (file := tmp_path / "mine.yaml").write_text("image: {registry: a}\nsettings: {sites: [{id: a, profile: lab}]}\n")
    with pytest.raises(SettingsError, match="is a section of the chart's values") as error:
        checked(file, secrets=False)
    assert len(error.value.problems) == 1
