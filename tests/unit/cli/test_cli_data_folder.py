"""The folder in which `moretta up` keeps its numbers: operate.box.data_folder."""

from pathlib import Path

import pytest

from operate.box.data_folder import (
    chosen_folder,
    held,
    kept_words,
    operator_file,
    remember,
    rename_accounts,
    require_running,
    settings_of,
    usual_box,
    usual_folder,
)
from operate.output import program
from services.kernel.settings import SettingsError


def test_one_at_a_time(tmp_path: Path):
    """It is made where it is missing; while one has it another is refused, and afterwards it is free."""
    folder = tmp_path / "var" / "moretta"
    with held(folder) as given:
        assert given.is_dir()
        with pytest.raises(SettingsError, match="is in use by another `moretta up`; stop that one"), held(folder):
            pass
    with held(folder):
        pass


def test_a_file_is_no_folder(tmp_path: Path):
    """One line with the option, the value and what would be right."""
    (tmp_path / "file").touch()
    with pytest.raises(SettingsError) as error, held(tmp_path / "file"):
        pass
    why = f"moretta up: --data: '{tmp_path}/file' cannot be used: File exists; name a folder that may be written to"
    assert str(error.value) == why


@pytest.fixture(name="home")
def _home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A user without an XDG_DATA_HOME, in whose home nothing is kept yet."""
    monkeypatch.delenv("XDG_DATA_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    return tmp_path


@pytest.mark.parametrize(
    ("named", "folder"),
    [("/data", "/data/moretta"), ("", "{home}/.local/share/moretta"), ("data", "{home}/.local/share/moretta")],
    ids=["absolute", "empty", "relative"],
)
def test_the_usual_folder_is_that_of_xdg(home: Path, monkeypatch: pytest.MonkeyPatch, named: str, folder: str):
    """XDG_DATA_HOME counts if it is absolute, as the specification says."""
    monkeypatch.setenv("XDG_DATA_HOME", named)
    assert usual_folder() == Path(folder.format(home=home))


def test_a_user_without_a_home(home: Path, monkeypatch: pytest.MonkeyPatch):
    """As in a container: the option that is missing is named; with it, or if nothing is kept, no home is needed."""

    def homeless() -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr(Path, "home", homeless)
    assert usual_folder() is None
    with pytest.raises(SettingsError, match="moretta up: --data: is needed: this user has no home to keep numbers in"):
        chosen_folder(None, keeps=True)
    with pytest.raises(SettingsError, match="moretta stats: -c: is needed: no `moretta up` keeps numbers in this user"):
        usual_box("moretta stats")
    assert chosen_folder(home, keeps=True) == home
    assert chosen_folder(None, keeps=False) is None


def test_where_a_run_keeps_its_numbers(home: Path):
    """In the folder that is given, if there is one; else in the user's, or nowhere."""
    assert chosen_folder(None, keeps=True) == home / ".local/share/moretta"
    assert chosen_folder(Path("there"), keeps=False) == Path("there")


def test_what_is_said_of_it():
    """The command that deletes it, as a shell takes it; not for a folder that the user chose and may use for more."""
    usual = Path("/home/ann o'neil/moretta")
    deleting = """rm -r '/home/ann o'"'"'neil/moretta'"""
    words = "numbers and settings are kept in"
    assert kept_words(usual, None) == f"{words} {usual}; to delete both, once this has ended: {deleting}"
    assert kept_words(usual, usual) == f"{words} {usual}"
    assert kept_words(Path("here"), Path("here")) == f"{words} {Path.cwd()}/here"
    assert kept_words(None, None) == "numbers are forgotten when this ends"


def test_settings_are_remembered(tmp_path: Path):
    """A user's own by a link; those of `--camera` as a file that nobody else reads. The later replaces the former."""
    own, folder = tmp_path / "site.yaml", tmp_path / "data"
    own.write_text("sites: []")
    folder.mkdir()
    assert remember(folder, own, is_made=False) == own
    assert settings_of(folder) == own
    own.write_text("sites: [one]")
    assert settings_of(folder).read_text() == "sites: [one]"
    made = tmp_path / "made.yaml"
    made.write_text("sites: [two]")
    copy = remember(folder, made, is_made=True)
    assert (copy.parent, copy.read_text()) == (folder / "settings", "sites: [two]")
    assert (copy.stat().st_mode & 0o777, own.read_text()) == (0o600, "sites: [one]")
    assert remember(folder, own, is_made=False) == settings_of(folder) == own
    made.write_text("sites: [three]")
    assert remember(folder, made, is_made=True).read_text() == "sites: [three]"
    assert copy.read_text() == "sites: [two]"  # with which a service may run
    assert remember(folder, copy, is_made=False) == settings_of(folder) == copy


def test_settings_that_are_there_already_stay(tmp_path: Path):
    """Those that the last `up` left, by whatever path; and a user's own, whatever they are called."""
    folder, made, link = tmp_path / "data", tmp_path / "made.yaml", tmp_path / "link"
    folder.mkdir()
    link.symlink_to(folder)
    made.write_text("sites: [one]")
    copy = remember(folder, made, is_made=True)
    for there in (folder, link):
        assert remember(folder, there / "settings/last-up.yaml", is_made=False) == copy
        assert (settings_of(folder), copy.read_text()) == (copy, "sites: [one]")
    for name in ("settings.yaml", "site.yaml"):
        (own := folder / name).write_text("sites: []")
        remember(folder, made, is_made=True)
        assert remember(folder, own, is_made=False) == own
        assert remember(folder, folder / "settings/last-up.yaml", is_made=False) == own
        assert own.read_text() == "sites: []"


def test_the_usual_box_is_one_that_ran(home: Path):
    """Until an `up` has written its operator's file, a command has to be told where NATS is."""
    usual = home / ".local/share/moretta"
    why = rf"moretta aim: -c: is needed: no `moretta up` keeps numbers in this user's data folder \({usual}\); name "
    with pytest.raises(SettingsError, match=why):
        usual_box("moretta aim")
    operator_file(usual).parent.mkdir(parents=True)
    operator_file(usual).touch()
    assert usual_box("moretta aim") == usual


def test_a_box_that_does_not_run_is_told_before_anything_is_asked(tmp_path: Path):
    """With the command that starts it again."""
    folder = tmp_path / "my numbers"
    again = rf"start it again, and ask once more: moretta up -c '{folder}/settings/last-up.yaml' \(to count nobody "
    with pytest.raises(SettingsError, match=rf"^moretta stats: the box that keeps .*{folder} does not run; {again}"):
        require_running("moretta stats", folder)
    with held(folder):
        require_running("moretta stats", folder)


def test_commands_are_named_as_they_were_called(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    """By their name alone only where a shell finds that: a checkout's own is on no path."""
    monkeypatch.setenv("PATH", str(tmp_path))
    for called, shown in (("a b/.venv/bin/moretta", "'a b/.venv/bin/moretta'"), ("-m", "moretta")):
        monkeypatch.setattr("sys.argv", [called])
        assert program() == shown
    (tmp_path / "moretta").touch(mode=0o755)
    monkeypatch.setattr("sys.argv", [".venv/bin/moretta"])
    assert program() == "moretta"


def test_streams_of_before_go_on(tmp_path: Path):
    """Accounts had other names: NATS finds its streams by the folder of that name. What is there by now stays."""
    store = tmp_path / "jetstream/jetstream"
    for former in ("MAIN/streams/WINDOWS", "SUBSCRIBERS/streams/WINDOWS", "SUBSCRIBERS_acme/streams/WINDOWS"):
        (store / former).mkdir(parents=True)
    rename_accounts(tmp_path)
    assert [str(path.relative_to(store)) for path in store.rglob("WINDOWS")] == ["MORETTA/streams/WINDOWS"]
    (store / "MAIN/streams/ALERTS").mkdir(parents=True)
    rename_accounts(tmp_path)
    assert (store / "MORETTA/streams/WINDOWS").is_dir()
    assert (store / "MAIN/streams/ALERTS").is_dir()
    rename_accounts(tmp_path / "empty")
