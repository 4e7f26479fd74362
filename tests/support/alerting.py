"""Debian's Prometheus and Alertmanager with the configuration of docs/recipes, on free ports and without its waits."""

import contextlib
import json
import shutil
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import prometheus
from lacking import lacks
from patience import patient
from program import Program
from recipes import FOLDER

WAITS = {"15s": "1s", "10s": "1s", "1m": "1s"}


def require() -> None:
    """Skip the test by name without both; fail it if MORETTA_REQUIRE_ALL=1."""
    prometheus.require()
    require_alertmanager()


def require_alertmanager() -> None:
    """Skip the test by name without Alertmanager; fail it if MORETTA_REQUIRE_ALL=1."""
    if shutil.which("prometheus-alertmanager") is None:
        lacks("Alertmanager: install prometheus-alertmanager (.ci/system-packages tests)")


def recipe(name: str, ports: dict[int, int]) -> str:
    """Return a recipe with other ports, and with seconds for its waits."""
    text = (FOLDER / name).read_text("utf-8")
    for known, free in ports.items():
        text = text.replace(f"127.0.0.1:{known}", f"127.0.0.1:{free}")
    for long, short in WAITS.items() if name.endswith(".yml") else ():
        text = text.replace(f": {long}", f": {short}")
    return text


class Prometheus(prometheus.Prometheus):
    """One with docs/recipes/prometheus.yml, the rules of the repository, and the recipe's own."""

    def __init__(self, folder: Path, ports: dict[int, int]) -> None:
        super().__init__(folder, [])
        for name in ("prometheus.yml", "published_rates.yml"):
            (folder / name).write_text(recipe(name, ports))
        (folder / "prometheus.yml").rename(folder / "prometheus.yaml")


class Alertmanager:
    """A running one."""

    def __init__(self, port: int) -> None:
        self.port, self.url = port, f"http://127.0.0.1:{port}"

    def alerts(self) -> dict[str, list[dict[str, Any]]]:
        """Return the alerts that it has now and that are not over, by name."""
        found: dict[str, list[dict[str, Any]]] = {}
        with urllib.request.urlopen(f"{self.url}/api/v2/alerts", timeout=patient(10)) as answer:
            for alert in json.load(answer):
                found.setdefault(alert["labels"]["alertname"], []).append(alert)
        return found


@contextlib.contextmanager
def alertmanager(folder: Path, settings: str, port: int) -> Iterator[Alertmanager]:
    """One with these settings, once it answers; it is ended behind."""
    (folder / "alertmanager.yml").write_text(settings)
    command = [
        "prometheus-alertmanager", f"--config.file={folder}/alertmanager.yml", f"--storage.path={folder}/alerts",
        "--cluster.listen-address=", f"--web.listen-address=127.0.0.1:{port}",
    ]  # fmt: skip
    running = Alertmanager(port)
    with Program(command) as process:
        process.until(lambda: _answers(running), "Alertmanager answers", 60)
        yield running
        process.stop()


def _answers(running: Alertmanager) -> bool:
    with contextlib.suppress(OSError):
        running.alerts()
        return True
    return False
