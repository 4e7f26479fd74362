"""A folder of `moretta nats`, brought about as people do it: by what a nats.yaml says, and by the commands."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from in_process import invoke

from services.bus.nkey import Seed
from services.kernel.settings import SettingsError

SITE, HUB = "site-state.json", "hub-state.json"
_SEED = re.compile(r"\bSU[A-Z2-7]{56}\b")


class NatsFolder:
    """A folder and, beside it, the file that is applied to it. A user's mistake is raised as it is told."""

    def __init__(self, folder: Path) -> None:
        self.path, self.file = folder, folder.with_name(f"{folder.name}.yaml")

    def run(self, command: str, *words: str | Path) -> str:
        """What a command prints about the folder, which is never a seed."""
        result = invoke("nats", command, str(self.path), *map(str, words), env={"COLUMNS": "400"})
        assert result.exit_code == 0, result.output
        assert not _SEED.search(result.output)
        return result.output

    def apply(self, wish: dict[str, Any] | None = None, *words: str) -> str:
        """What is printed when the folder is brought to a wish; without one to what was applied last."""
        if wish is None:
            return self.run("apply", *words)
        self.file.write_text(yaml.safe_dump(wish, sort_keys=False))
        return self.run("apply", "-f", self.file, *words)

    def rotate(self, who: str) -> str:
        """What is printed when somebody gets a new key."""
        return self.run("rotate", who)

    def retire(self, who: str) -> str:
        """What is printed when somebody's old key ends."""
        return self.run("retire", who)

    def replace(self, who: str) -> str:
        """What is printed when somebody gets a new key in place of a stolen one."""
        return self.run("replace", who)

    def refused(self, wish: dict[str, Any] | None = None, *words: str) -> str:
        """The error about an impossible wish; nothing is written then."""
        before = self.content()
        with pytest.raises(SettingsError) as error:
            self.apply(wish, *words)
        assert self.content() == before
        return str(error.value)

    def problems(self, wish: dict[str, Any]) -> list[str]:
        """What is told of a file that can not be: a line each, which begins with the file's name."""
        lines = self.refused(wish).splitlines()
        assert [line for line in lines if not line.startswith(f"{self.file}: ")] == []
        return [line.removeprefix(f"{self.file}: ") for line in lines]

    def content(self) -> dict[str, bytes] | None:
        """Every file's bytes by name, None without a folder."""
        return {one.name: one.read_bytes() for one in self.path.iterdir()} if self.path.exists() else None

    def read(self, name: str) -> str:
        return (self.path / name).read_text()

    def public(self, user: str) -> str:
        """The public key of the seed that a user has now."""
        return Seed(self.read(f"{user}.nk")).public

    def conf(self) -> dict[str, Any]:
        """nats-server's configuration."""
        return json.loads(self.read("nats.conf"))

    def accounts(self) -> dict[str, list[str]]:
        """The public keys that the server's configuration admits, by account."""
        found = self.conf()["accounts"]
        return {name: [user["nkey"] for user in account["users"]] for name, account in found.items()}

    def admitted(self) -> list[str]:
        """The public keys of all accounts."""
        return [key for keys in self.accounts().values() for key in keys]

    def state(self, name: str = SITE) -> dict[str, Any]:
        """What is remembered of what was applied."""
        return json.loads(self.read(name))

    def forge(self, state: dict[str, Any], name: str = SITE) -> None:
        """Have it remember something else, as another version left it."""
        (self.path / name).write_text(json.dumps(state))

    def values(self) -> dict[str, Any]:
        """What our chart gets."""
        return yaml.safe_load(self.read("values.yaml"))["nats"]

    def secrets(self) -> dict[str, dict[str, Any]]:
        """The Secrets for Kubernetes by their names."""
        return {one["metadata"]["name"]: one for one in yaml.safe_load_all(self.read("secrets.yaml"))}


def lines_of(printed: str, word: str) -> list[str]:
    """The lines that begin so, without it: `next: ` or `+ `."""
    return [line.removeprefix(word) for line in printed.splitlines() if line.startswith(word)]
