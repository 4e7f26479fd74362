"""The training command from photos to a model that the service loads: small photos, seconds instead of minutes."""

from __future__ import annotations

import json
import random
import re

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("torchvision")

from PIL import Image  # noqa: E402

from modelling.training.__main__ import main  # noqa: E402
from modelling.training.config import DEFAULT_PATH, read_config  # noqa: E402
from modelling.training.yunet import PUBLISHED, YuNet  # noqa: E402
from services.inference.model import load_model  # noqa: E402

PHOTOS, SIDE = 8, 160
LABELS = ("mask", "no_mask", "incorrect")


def photo(dice):
    """A noisy picture [3, H, W] with one box."""
    noise = torch.Generator().manual_seed(dice.getrandbits(32))
    pixels = torch.randint(0, 256, (3, 8, 8), generator=noise, dtype=torch.uint8)
    left, top = dice.randint(10, 80), dice.randint(10, 80)
    return torch.nn.functional.interpolate(pixels[None], size=(SIDE, SIDE))[0], [left, top, left + 40, top + 50]


def dataset(folder, seed):
    """Writes annotated photos to `folder`."""
    (folder / "images").mkdir(parents=True)
    dice, lines = random.Random(seed), []
    for index in range(PHOTOS):
        pixels, box = photo(dice)
        Image.fromarray(pixels.permute(1, 2, 0).numpy()).save(folder / f"images/{index}.jpg")
        line = {"file": f"images/{index}.jpg", "width": SIDE, "height": SIDE}
        lines.append(json.dumps(line | {"boxes": [box], "label": [LABELS[index % 3]]}))
    (folder / "annotations.jsonl").write_text("\n".join(lines), "utf-8")


@pytest.fixture(name="data")
def _data(tmp_path):
    """Every source of the shipped settings, and published weights, all made up."""
    torch.manual_seed(5)
    wanted = read_config().data
    for seed, name in enumerate((*wanted.detection, *wanted.crops)):
        dataset(tmp_path / "data" / name, seed)
    (tmp_path / "data/models").mkdir()
    torch.save({"state_dict": YuNet(PUBLISHED).state_dict()}, tmp_path / "data/models/yunet_n.pth")
    return tmp_path / "data"


@pytest.fixture(name="config")
def _config(tmp_path):
    """The shipped settings, but for how long and how large."""
    small = {
        r"epochs = \d+": "epochs = 1",
        r"threads = \d+": "threads = 1",
        r"sides = \[.*\]": "sides = [64, 96]",
        r"batch = 12\b": "batch = 2",
        r"calibration_share = [0-9.]+": "calibration_share = 0.2",
    }
    text = DEFAULT_PATH.read_text("utf-8")
    for setting, value in small.items():
        text, times = re.subn(setting, value, text)
        assert times, f"no setting is like {setting} any more"
    path = tmp_path / "config.toml"
    path.write_text(text, "utf-8")
    return path


def test_training_makes_a_model_with_its_card(tmp_path, data, config):
    """From labelled folders to two graphs that the service loads, the lists of the split and the card."""
    out = tmp_path / "model"
    wanted = [str(data), "--out", str(out), "--config", str(config), "--work", str(tmp_path / "work")]
    assert main(wanted) == 0
    model = load_model(out)
    model.warm_up(160, 160)
    card = (out / "MODEL_CARD.md").read_text("utf-8")
    assert model.sha256 in card
    assert "haonan1600, techzizou1350, chandrika_crops" in card
    for group in ("east", "streets", "press"):
        left_out = tmp_path / f"work/without-{group}"
        load_model(left_out)
        assert (left_out / "left_out.txt").read_text()
    aside = set((out / "validation.txt").read_text().split()) | set((out / "calibration.txt").read_text().split())
    assert 0 < len(aside) < 10 * PHOTOS


def test_missing_source_is_told(tmp_path, config, capsys):
    """A folder without photos ends with one line that names it, and nothing is written."""
    assert main([str(tmp_path / "nowhere"), "--out", str(tmp_path / "m"), "--config", str(config)]) == 2
    assert "nowhere/kaggle853: no such folder" in capsys.readouterr().err
    assert not (tmp_path / "m").exists()
