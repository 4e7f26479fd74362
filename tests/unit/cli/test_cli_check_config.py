"""`moretta check-config` where the secrets are not: what can be said without them is said all the same."""

from pathlib import Path

import pytest
import yaml
from in_process import invoke

from operate.check_config.check_config import checked, checked_values
from services.kernel.settings import SettingsError

ELSEWHERE = "/etc/moretta/secrets/none"
CHART = Path(__file__).parents[3] / "k8s"


@pytest.fixture(autouse=True)
def _no_helm(monkeypatch):
    """The chart's own rules have tests of their own."""
    monkeypatch.setenv("PATH", "/nowhere")
    monkeypatch.delenv("HELM", raising=False)


def whole() -> dict:
    """Settings that name every kind of secret, and certificates, in files that are not here."""
    files = {"ca_file": ELSEWHERE, "client_cert_file": ELSEWHERE, "client_key_file": ELSEWHERE}
    phone = {"id": "phone", "url": "whip://", "token_file": ELSEWHERE, "operator_token_file": ELSEWHERE}
    hook = {"url_file": ELSEWHERE, "secret_file": ELSEWHERE, "token_file": ELSEWHERE}
    kannel = {"url_file": ELSEWHERE, "user": "m", "password_file": ELSEWHERE, "sender": "Masks"}
    return {
        "nats": {"user": "notify", "seed_file": ELSEWHERE, "frames_user": "f", "frames_seed_file": ELSEWHERE, **files},
        "sealing": {"signing_key_file": ELSEWHERE, "verify_key_file": ELSEWHERE},
        "sites": [{"id": "forville", "cameras": [{"id": "hall", "url_file": ELSEWHERE}, phone]}],
        "ingest": {"web": {}},
        "notify": {
            "salt_file": ELSEWHERE,
            "smtp": {"host": "mail", "sender": "m@example.org", "user": "m", "password_file": ELSEWHERE},
            "sms": {"kannel": kannel},
            "receivers": [{"id": "a", "sites": ["forville"], "webhooks": [hook], "audience": "operators"}],
        },
    }


@pytest.fixture(name="told")
def _told(tmp_path: Path):
    """What is wrong with settings, in a file of their own or below `settings` of the chart's values."""

    def told(settings: dict, *, values: bool) -> list[tuple[str, str]]:
        file = tmp_path / "file.yaml"
        file.write_text(yaml.safe_dump({"ingest": {"replicas": 2}, "settings": settings} if values else settings))
        try:
            checked_values([file]) if values else checked(file, secrets=False)
        except SettingsError as error:
            return error.problems
        return []

    return told


@pytest.mark.parametrize("values", [False, True])
def test_no_file_is_missed_and_every_mistake_is_told(told, values):
    """Of files nothing is said; what is wrong beside them is, with the path that the user's file has."""
    assert told(whole(), values=values) == []
    wrong = whole()
    wrong["site"] = []
    wrong["sites"][0] |= {"window_s": 1201.0, "zones": [{"id": "hall"}]}
    wrong["sites"][0]["cameras"][1] |= {"zone": "hal", "passwort_file": ELSEWHERE}
    paths = {path.removeprefix("settings.") for path, _ in told(wrong, values=values)}
    assert {"site", "sites[0].window_s", "sites[0].cameras[1].passwort_file"} <= paths
    assert all(path.startswith("settings.") == values for path, _ in told(wrong, values=values))


def test_as_a_command(tmp_path: Path):
    """The example of the chart is good; what has no settings is told what they are."""
    example = CHART / "example-values.yaml"
    run = invoke("check-config", "--values", str(example))
    assert (run.exit_code, run.stdout.startswith(f"{example}: good")) == (0, True)  # for the services, without helm
    assert run.stdout.endswith("; the files that it names were not opened\n")
    file = tmp_path / "settings.yaml"
    file.write_text(yaml.safe_dump(whole()))
    assert invoke("check-config", "--without-secrets", str(file)).exit_code == 0
    with pytest.raises(SettingsError, match="settings: is missing; it is what services read"):
        checked_values([file])
