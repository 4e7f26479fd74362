"""Rules and dashboards as they are in the repository, and a real Prometheus (Debian) that watches what a test runs."""

import contextlib
import json
import math
import re
import shutil
import subprocess
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any, Self

import yaml
from free_ports import free_port
from lacking import lacks

ROOT = Path(__file__).parents[2]
FILES = ROOT / "k8s/moretta/files"
RULES = FILES / "rules.yaml"
SERIES = re.compile(r"\b(?:moretta|process|kube)_[a-z0-9_]+")
"""Names of metrics in an expression; recorded ones have colons."""


def require() -> None:
    """Skip the test by name when Prometheus is missing; fail it if MORETTA_REQUIRE_ALL=1."""
    if shutil.which("prometheus") and shutil.which("promtool"):
        return
    lacks("Prometheus: install prometheus (.ci/system-packages chart)")


def rules() -> list[dict[str, Any]]:
    """Every rule of every group."""
    return [rule for group in yaml.safe_load(RULES.read_text())["groups"] for rule in group["rules"]]


def alerts() -> list[dict[str, Any]]:
    """Every alert; one name may have a page and a ticket."""
    return [rule for rule in rules() if "alert" in rule]


class Prometheus:
    """A real one with the repository's rules and those of other files; no alert waits here.

    It scrapes these ports each second, twice: as a box's, and with the namespace `prod`, as a cluster's pods.
    """

    def __init__(self, folder: Path, ports: list[int], *others: Path) -> None:
        self.port = free_port()
        self._folder = folder
        groups = [group for file in (RULES, *others) for group in yaml.safe_load(file.read_text())["groups"]]
        for group in groups:
            group["rules"] = [{key: value for key, value in rule.items() if key != "for"} for rule in group["rules"]]
        (folder / "rules.yaml").write_text(yaml.safe_dump({"groups": groups}))
        targets = {"targets": [f"127.0.0.1:{port}" for port in ports]}
        jobs = {"box": targets, "prod/moretta": targets | {"labels": {"namespace": "prod"}}}
        config = {
            "global": {"scrape_interval": "1s", "scrape_timeout": "1s", "evaluation_interval": "2s"},
            "rule_files": ["rules.yaml"],
            "scrape_configs": [{"job_name": name, "static_configs": [job]} for name, job in jobs.items()],
        }
        (folder / "prometheus.yaml").write_text(yaml.safe_dump(config))

    def __enter__(self) -> Self:
        command = [
            "prometheus", f"--config.file={self._folder}/prometheus.yaml", f"--storage.tsdb.path={self._folder}/tsdb",
            f"--web.listen-address=127.0.0.1:{self.port}", "--log.level=error",
        ]  # fmt: skip
        self._process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        return self

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        self._process.wait(30)

    def get(self, path: str, **asked: str) -> Any:
        """Return the data of an answer of its HTTP API; AssertionError with what it says of what it refuses."""
        url = f"http://127.0.0.1:{self.port}/api/v1/{path}?{urllib.parse.urlencode(asked)}"
        try:
            with urllib.request.urlopen(url, timeout=30) as answer:
                return json.load(answer)["data"]
        except urllib.error.HTTPError as error:
            with error:
                raise AssertionError(f"{asked}: {error.read().decode()}") from None

    def values(self, expression: str) -> list[tuple[dict[str, str], float]]:
        """Return labels and value of all that an expression has now; what is no number is none."""
        found = self.get("query", query=expression)["result"]
        return [(one["metric"], value) for one in found if not math.isnan(value := float(one["value"][1]))]

    def wait(self, condition: Callable[[], bool], limit_s: float, what: Callable[[], object]) -> None:
        """Look every two seconds; AssertionError past the limit. It may not answer at first."""
        end = time.monotonic() + limit_s
        while True:
            assert self._process.poll() is None, "Prometheus has ended"
            with contextlib.suppress(OSError):
                if condition():
                    return
            assert time.monotonic() < end, f"not within {limit_s} s: {what()}"
            time.sleep(2)
