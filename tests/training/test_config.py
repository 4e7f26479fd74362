"""One file configures a training run, and mistakes in it are told."""

from __future__ import annotations

import pytest

from modelling.training.config import DEFAULT_PATH, identity, read_config


def changed(tmp_path, old, new):
    """A copy of the shipped settings with one piece replaced."""
    text = DEFAULT_PATH.read_text("utf-8")
    assert old in text
    path = tmp_path / "config.toml"
    path.write_text(text.replace(old, new, 1), "utf-8")
    return path


def test_shipped_settings_are_valid():
    """The shipped file is read, and its limits are those of a sound run."""
    config = read_config()
    assert 0 < config.split.calibration_share < 0.5
    assert config.long_side % 4 == 0
    assert all(side % 32 == 0 for side in config.detector.sides)
    assert config.classifier.margin < config.classifier.patch_margin
    assert set(config.data.detection).isdisjoint(config.data.crops)
    left_out = [name for sources in config.data.left_out.values() for name in sources]
    assert sorted(left_out) == sorted({*left_out}), "each source is left out once"
    assert set(config.data.detection) <= set(left_out) <= {*config.data.detection, *config.data.crops}


def test_copy_can_differ(tmp_path):
    """A copy with another seed is another run."""
    assert read_config(changed(tmp_path, "threads = 2", "threads = 1")).threads == 1


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("threads = 2", 'threads = "two"', r"\$.threads"),
        ("threads = 2", "threds = 2", "thre"),
        ("calibration_share", "calibration_part", "calibration_part"),
        ("[limits]", "[limit]", "limit"),
        ("kaggle853 = 1.0", "kaggle853 = 0.0", r"\$\.data\.detection"),
        ("seed = ", "seed ", "config.toml"),
    ],
)
def test_mistake_is_named(tmp_path, old, new, told):
    """A wrong type, an unknown key, a missing part and broken TOML are told with the file's name."""
    with pytest.raises(ValueError, match=told) as caught:
        read_config(changed(tmp_path, old, new))
    assert "config.toml: " in str(caught.value)


def test_missing_file_is_named(tmp_path):
    """A settings file that is not there is named."""
    with pytest.raises(ValueError, match=r"absent\.toml"):
        read_config(tmp_path / "absent.toml")


def test_checkpoints_are_bound_to_settings_and_photos(tmp_path):
    """Another seed or other photos are another identity; more epochs, or another order of photos, are not."""
    config, names = read_config(), ["a/1.jpg", "a/2.jpg"]
    own = identity(config, config.detector, names)
    other = read_config(changed(tmp_path, "seed = 2", "seed = 3"))
    assert identity(other, other.detector, names) != own
    assert identity(config, config.detector, names[:1]) != own
    assert identity(config, config.classifier, names) != own
    other = read_config(changed(tmp_path, "left_out_epochs = ", "left_out_epochs = 1"))
    assert identity(other, other.detector, names[::-1]) == own
    other = read_config(changed(tmp_path, "batch = 12 ", "batch = 13 "))
    assert (identity(other, other.detector, names) == own, identity(other, other.classifier, names)) == (
        False,
        identity(config, config.classifier, names),
    )
