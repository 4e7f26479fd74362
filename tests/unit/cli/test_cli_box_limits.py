"""The limits of a box's server: operate.box.machine."""

import json

import pytest

from operate.box.machine import kept_limits, roomy


def config(file: int, memory: int) -> str:
    return json.dumps(
        {"listen": "a", "jetstream": {"store_dir": "s", "max_file_store": file, "max_memory_store": memory}}
    )


def test_no_limit_is_less_than_before(tmp_path):
    """Each by itself; all else is the new configuration's."""
    (tmp_path / "nats.conf").write_text(config(9, 2))
    kept = kept_limits(tmp_path / "nats.conf")
    assert kept == {"max_file_store": 9, "max_memory_store": 2}
    assert json.loads(roomy(config(5, 7), kept)) == json.loads(config(9, 7))


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"jetstream": 1}', '{"jetstream": {"max_file_store": "x"}}'])
def test_what_is_no_configuration_of_a_box_keeps_nothing(tmp_path, text: str):
    """A first start, a file that somebody has changed, one that is broken."""
    assert kept_limits(tmp_path / "none") == {}
    (tmp_path / "nats.conf").write_text(text)
    assert kept_limits(tmp_path / "nats.conf") == {}
    assert roomy(config(1, 2), {}) == json.dumps(json.loads(config(1, 2)), indent=1)
