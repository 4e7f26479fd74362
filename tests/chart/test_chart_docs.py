"""The chart's schema and table say what values.yaml says."""

import subprocess
import sys

import pytest
from chart import CHART, ROOT, given, merged, refusal, template


def test_schema_and_table_are_up_to_date(tmp_path):
    """`.ci/chart-docs` would change nothing."""
    subprocess.run([sys.executable, ROOT / ".ci/chart-docs", tmp_path], check=True)
    for name in ("values.schema.json", "README.md"):
        assert (tmp_path / name).read_text() == (CHART / name).read_text(), f"run .ci/chart-docs: {name}"


def _sections(value, path=()):
    """Yield each section of values.yaml in which keys are documented."""
    import json

    schema = json.loads((CHART / "values.schema.json").read_text())
    stack = [((), schema)]
    while stack:
        path, found = stack.pop()
        if "properties" in found:
            yield path
            stack += [((*path, name), part) for name, part in found["properties"].items()]


def test_the_schema_is_strict_at_every_level():
    """A misspelt key is refused wherever it is, and a value of another type."""
    sections = list(_sections(given()))
    assert len(sections) > 15
    every: dict = {}
    for path in sections:
        over: dict = {"mispelt": 1}
        for name in reversed(path):
            over = {name: over}
        every = merged(every, over)
    done = template(every, "3.17")
    assert done.stderr.count("mispelt") == len(sections)


@pytest.mark.parametrize(
    ("over", "said"),
    [
        ({"ingest": {"replicas": 0}}, "replicas"),
        ({"notify": {"replicas": "two"}}, "replicas"),
        ({"image": {"pullPolicy": "always"}}, "pullPolicy"),
        ({"image": {"digests": {"nats": "sha256:0"}}}, "digests"),
        ({"nats": {"keys": {"ingest": ["SUAG..."]}}}, "keys"),
        ({"inference": {"gpu": {"count": 1}}}, "gpu"),
        ({"whip": {"replicas": 2}}, "replicas"),
        ({"page": {"port": 443}}, "port"),
        ({"page": {"websocket": "https://masks.example.org"}}, "websocket"),
        ({"page": {"websocket": "ws://[::1]:8443"}}, "websocket"),  # IPv6, which is in no content security policy
    ],
)
def test_the_schema_refuses(over, said):
    """What no template would notice: no pods, a number in words, a seed in the place of a public key, two WHIP pods."""
    assert said in refusal(over)
