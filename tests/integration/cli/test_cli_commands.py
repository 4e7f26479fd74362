"""The command line as people type it: mistakes are one line each, exit code 2, never a traceback."""

from pathlib import Path

import pytest
from command_line import assert_mistakes, moretta
from patience import patient
from warm import SERVICES, warm

GOOD = "sites: [{id: cannes, profile: lab, cameras: [{id: gate, url: rtsp://10.0.0.5/s}]}]\n"


@pytest.fixture(name="file")
def _file(tmp_path: Path) -> Path:
    path = tmp_path / "moretta.yaml"
    path.write_text(GOOD)
    return path


def test_check_config_of_a_good_file(file: Path):
    """Says so, exit code 0; a camera's file that is not here is a warning."""
    run = moretta("check-config", str(file), cold=True)
    assert (run.returncode, run.stdout, run.stderr) == (0, f"{file}: good\n", "")
    file.write_text(GOOD.replace("rtsp://10.0.0.5/s", "/nope.mp4"))
    run = moretta("check-config", str(file))
    assert (run.returncode, run.stdout) == (0, f"{file}: good\n")
    assert run.stderr.startswith(f"{file}: sites[0].cameras[0].url: warning: '/nope.mp4' is no file or device here")
    mail = "notify: {smtp: {host: mail.example.org, security: none, sender: a@example.org%s}}\n"
    file.write_text(GOOD + mail % "")
    run = moretta("check-config", str(file))
    assert (run.returncode, run.stdout) == (0, f"{file}: good\n")
    assert run.stderr.startswith(f"{file}: notify.smtp.security: warning: 'none' sends mails")
    file.write_text(GOOD + mail % ", user: u, password: s3cret")
    assert_mistakes(moretta("check-config", str(file)), f"{file}: notify.smtp.security: 'none' sends the password")


def test_check_config_of_a_bad_file(file: Path):
    """Every mistake for every service, one line each."""
    file.write_text(GOOD + "nats: {replicas: 9}\nnotify: {x: 1}\nfoo: 1\n")
    assert_mistakes(
        moretta("check-config", str(file)),
        f"{file}: foo: unknown section; known are ",
        f"{file}: nats.replicas: must be a whole number at least 1 and at most 5, got 9",
        f"{file}: notify.x: unknown key; known here are ",
    )


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (None, "cannot be read: No such file or directory"),
        (b"\xff", "is not UTF-8 text"),
        (b"sites: [", "is not YAML: "),
        (b"[]", "must hold sections such as `sites:`, got an empty list"),
        (b"a: 2026-02-30", "is not YAML: a value is not what it looks like"),
        (b"sites: [{id: a, id: b}]", "is not YAML: a key is there twice in line 1, column 17"),
    ],
)
@pytest.mark.parametrize("command", [["check-config"], ["up", "-c"]], ids=["check-config", "up"])
def test_no_settings_file(tmp_path: Path, command: list[str], content: bytes | None, why: str):
    """What is no settings file at all."""
    file = tmp_path / "m.yaml"
    if content is not None:
        file.write_bytes(content)
    assert_mistakes(moretta(*command, str(file)), f"{file}: {why}")


def test_check_config_of_a_folder(tmp_path: Path):
    """A folder is no file."""
    assert_mistakes(moretta("check-config", str(tmp_path)), f"{tmp_path}: cannot be read: Is a directory")


def test_the_environment_is_checked_too(file: Path):
    """The variable is named."""
    run = moretta("check-config", str(file), MORETTA_NATS__REPLICAS="9")
    assert_mistakes(run, f"{file}: nats.replicas: must be")
    assert run.stderr.endswith("(set by MORETTA_NATS__REPLICAS)\n")


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        ([], "moretta up: needs -c FILE, --camera NAME=URL or --simulate"),
        (["--simulate", "--camera", "a=rtsp://h/s"], "moretta up: --simulate: has cameras of its own"),
        (
            ["--simulate", "--origin", "http://127.0.0.1:8000"],
            "moretta up: --websocket: is missing; must be HOST:PORT, such as ",
        ),
        (
            ["--simulate", "--websocket", "off", "--origin", "http://127.0.0.1:8000"],
            "moretta up: --websocket: must be HOST:PORT, such as ",
        ),
        (
            ["--simulate", "--websocket", "127.0.0.1:70000", "--origin", "http://127.0.0.1:8000"],
            "moretta up: --websocket: '127.0.0.1:70000' has no such port; must be HOST:PORT, such as 127.0.0.1:8080",
        ),
        (["--simulate", "--websocket", "127.0.0.1:8080"], "moretta up: --origin: must be a list of at least 1"),
        (
            ["--simulate", "--websocket", "127.0.0.1:8080", "--origin", "127.0.0.1:8000"],
            "moretta up: --origin: must be scheme, name and port",
        ),
        (
            ["--simulate", "--websocket", "0.0.0.0:8080", "--origin", "http://127.0.0.1:8000"],
            "moretta up: --websocket: 0.0.0.0:8080 is not this machine alone; take 127.0.0.1",
        ),
        (["--camera", "gate"], "--camera: 'gate' is not NAME=URL, as in gate=rtsp://"),
        (["--camera", "rtsp://u:hunter2@h/s"], "--camera: 'rtsp://***@h/s' is not NAME=URL"),
        (["--camera", "GATE=x"], "--camera: NAME: must be 1-32 of a-z, 0-9 and inner hyphens, got 'GATE'"),
        (["--camera", "a=x", "--camera", "a=y"], "--camera: sites[0].cameras[1].id: 'a' is used 2 times"),
        (["--camera", "a=/nope.mp4"], "--camera: a: '/nope.mp4' is no file or device here"),
        (["--camera", "a=rtsp://h/s", "--data", "/dev/null"], "moretta up: --data: '/dev/null' cannot be used: "),
        (["--camera", "a=rtsp://h/s", "--data", "/dev/null/x"], "moretta up: --data: '/dev/null/x' cannot be used: "),
    ],
)
def test_up_with_a_mistake(arguments: list[str], line: str):
    """Nothing is started."""
    run = moretta("up", *arguments)
    assert_mistakes(run, line)
    assert "hunter2" not in run.stderr


def test_up_with_a_bad_file_and_a_camera(file: Path):
    """The user's own file is named, not the one that was made of it."""
    file.write_text(GOOD + "log: {level: loud}\n")
    assert_mistakes(moretta("up", "-c", str(file), "--camera", "a=x"), f"{file}: log.level: must be one of ")


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (["up", "--camera"], "--camera"),
        (["up", "--duration", "-1"], "--duration"),
        (["up", "--duration", "soon"], "--duration"),
        (["up", "--cameras", "x"], "--cameras"),
        (["count", "film.mp4", "--sep", ";"], "--sep: ';' is for CSV alone; give --csv, too"),
        (["count", "film.mp4", "--csv", "--json"], "--csv: and --json are two forms of the same"),
        (["nonsense"], "nonsense"),
        (["check-config"], "FILE"),
    ],
)
def test_the_usage_itself(arguments: list[str], word: str):
    """A wrong option: usage, the word that is wrong, exit code 2."""
    run = moretta(*arguments)
    assert run.returncode == 2
    assert word in run.stderr
    assert "Traceback" not in run.stderr


def test_help():
    """Every command is listed."""
    run = moretta("--help", cold=True)
    commands = ("up", "ingest", "inference", "aggregate", "notify", "count", "eval", "prove", "check-config")
    assert run.returncode == 0
    assert [name for name in commands if name not in run.stdout] == []


@pytest.mark.parametrize("name", ["ingest", "inference", "aggregate", "notify"])
def test_a_service_with_a_bad_file(tmp_path: Path, name: str):
    """The same lines from each service, by command and by module."""
    file = tmp_path / "m.yaml"
    file.write_text(f"sites: [{{id: UP}}]\n{name}: {{x: 1}}\n")
    starts = [f"{file}: sites[0].id: must be", f"{file}: {name}.x: unknown key"]
    told = moretta(name, "-c", str(file))
    assert_mistakes(told, *starts)
    module = warm(SERVICES).start(f"services.{name}", ["-c", str(file)])
    _, said = module.communicate(patient(60))
    assert (module.returncode, said) == (2, told.stderr)


@pytest.mark.parametrize(
    "arguments",
    [["count", "/nowhere/film.mp4"], ["eval", "/nowhere"]],
    ids=["count", "eval"],
)
def test_a_source_that_is_not_there(arguments: list[str]):
    """One line that names it."""
    run = moretta(*arguments)
    assert run.returncode == 2
    assert len(run.stderr.splitlines()) == 1
    assert "/nowhere" in run.stderr
