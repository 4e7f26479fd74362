"""Rules of the training code that need torch: `pytest tests/training` in the training environment."""

from __future__ import annotations

import random

import msgspec
import numpy as np
import pytest

torch = pytest.importorskip("torch")
onnxruntime = pytest.importorskip("onnxruntime")

from torchvision.ops import nms  # noqa: E402

from modelling.evaluation.scoring import Truth  # noqa: E402
from modelling.training.assignment import BACKGROUND, LEFT_OUT, assign  # noqa: E402
from modelling.training.averaging import Average  # noqa: E402
from modelling.training.blend import Blend  # noqa: E402
from modelling.training.calibrate import Measured, best_threshold  # noqa: E402
from modelling.training.colour import BGR_FROM_YUV, RGB_FROM_YUV  # noqa: E402
from modelling.training.config import read_config  # noqa: E402
from modelling.training.detector import (  # noqa: E402
    TrainingScenes,
    is_fresh,
    photo_weights,
    scenes_a_batch,
    worn_loss,
)
from modelling.training.export_classifier import classifier_model  # noqa: E402
from modelling.training.export_detector import detector_model  # noqa: E402
from modelling.training.judge import Judge  # noqa: E402
from modelling.training.losses import detector_loss, eiou_loss  # noqa: E402
from modelling.training.patches import Patches, crops, cut_patches, varied  # noqa: E402
from modelling.training.photos import DOUBTED, IGNORED, Sample  # noqa: E402
from modelling.training.scenes import Scene, draw_scene, make_scene, tiled_scene  # noqa: E402
from modelling.training.yunet import FINE, PUBLISHED, YuNet, decode_boxes, prior_points  # noqa: E402

WIDTH, HEIGHT = 128, 96


@pytest.fixture(name="config")
def _config():
    """The shipped settings, on one thread, from a fixed seed."""
    torch.set_num_threads(1)
    torch.manual_seed(3)
    return read_config()


def i420(seed=5):
    """A random picture whose colours stay inside the gamut, with luma and chroma planes."""
    dice = np.random.default_rng(seed)
    luma = dice.integers(60, 180, (HEIGHT, WIDTH))
    chroma = dice.integers(120, 136, (HEIGHT // 2, WIDTH))
    return np.concatenate([luma, chroma]).astype(np.uint8)


def planes(picture, matrix):
    """The picture's colours [3, H, W], chroma doubled by nearest neighbour."""
    chroma = picture[HEIGHT:].reshape(2, HEIGHT // 2, WIDTH // 2).repeat(2, 1).repeat(2, 2)
    yuv = np.concatenate([picture[None, :HEIGHT] - 16.0, chroma - 128.0])
    return torch.tensor(np.einsum("cp,phw->chw", matrix, yuv), dtype=torch.float32)


def run(model, **inputs):
    """What onnxruntime makes of the exported graph."""
    return onnxruntime.InferenceSession(model.SerializeToString()).run(None, inputs)


def shaken(net):
    """The network with batch statistics as after a training, in evaluation mode."""
    for part in net.modules():
        if isinstance(part, torch.nn.BatchNorm2d):
            part.running_mean.normal_(0, 0.1)
            part.running_var.uniform_(0.5, 1.5)
            part.weight.data.uniform_(0.5, 1.5)
    return net.eval()


def face_score(raw):
    """The published score: the geometric mean of class and objectness."""
    return (raw[:, 0].sigmoid() * raw[:, 1].sigmoid()).sqrt()


def best_prior(net, picture):
    """The network's rows for the picture, and the row that scores best."""
    with torch.no_grad():
        raw = net(planes(picture, BGR_FROM_YUV)[None])[0]
    return raw, int(face_score(raw).argmax())


def test_exported_detector_equals_the_network(config):
    """The graph with colour and batch norm worked in finds what the network finds in the converted picture."""
    net, picture = shaken(YuNet()), i420()
    boxes, scores, _worn = run(detector_model(net, config.detector), i420=picture)
    raw, best = best_prior(net, picture)
    assert scores[0] == pytest.approx(float(face_score(raw)[best]), abs=1e-4)
    found = decode_boxes(raw[:, 2:6], prior_points(HEIGHT, WIDTH, FINE.strides))[best]
    assert boxes[0] == pytest.approx(found.numpy(), abs=0.05)


def test_exported_detector_tells_what_is_worn(config):
    """The graph's logits of what is worn are the network's own for the same box."""
    net, picture = shaken(YuNet()), i420()
    boxes, scores, worn = run(detector_model(net, config.detector), i420=picture)
    raw, best = best_prior(net, picture)
    assert len(boxes) == len(scores) == len(worn)
    assert worn[0] == pytest.approx(raw[best, 6:].numpy(), abs=1e-2)


def test_exported_fine_level_equals_the_network(config):
    """The level at stride 4 comes out of the graph as of the network, with its own boxes and classes."""
    net, picture = shaken(YuNet(FINE)), i420()
    with torch.no_grad():
        net.bbox_head.fine_multi_level_obj.conv2.bias.fill_(6.0)
        net.bbox_head.fine_multi_level_cls.conv2.bias.fill_(6.0)
    boxes, scores, worn = run(detector_model(net, config.detector), i420=picture)
    raw, best = best_prior(net, picture)
    assert best >= HEIGHT * WIDTH // 32**2 * 21, "a row of the fine level"
    found = decode_boxes(raw[:, 2:6], prior_points(HEIGHT, WIDTH, FINE.strides))[best]
    assert boxes[0] == pytest.approx(found.numpy(), abs=0.05)
    assert scores[0] == pytest.approx(float(face_score(raw)[best]), abs=1e-4)
    assert worn[0] == pytest.approx(raw[best, 6:].numpy(), abs=1e-2)


def test_exported_published_shape_equals_the_network(config):
    """The exporter follows the shape: the published one, without its landmarks, comes out right as well."""
    net, picture = shaken(YuNet(PUBLISHED)), i420()
    boxes, _scores = run(detector_model(net, config.detector), i420=picture)
    raw, best = best_prior(net, picture)
    found = decode_boxes(raw[:, 2:6], prior_points(HEIGHT, WIDTH))[best]
    assert boxes[0] == pytest.approx(found.numpy(), abs=0.05)


@pytest.mark.parametrize(("floor", "most"), [(0.03, 512), (0.0, 40), (0.3, 512), (2.0, 512)])
def test_every_row_of_the_graph_is_the_networks(config, floor, most):
    """Of all levels, best first; at most so many candidates; and none, where nothing is above the floor."""
    limits = msgspec.structs.replace(config.detector, score_floor=floor, most_candidates=most, most_faces=1_000)
    net, picture = shaken(YuNet()), i420()
    boxes, scores, worn = run(detector_model(net, limits), i420=picture)
    raw, _ = best_prior(net, picture)
    best = face_score(raw)
    order = best.argsort(descending=True, stable=True)[:most]
    order = order[best[order] > floor]
    wanted = decode_boxes(raw[:, 2:6], prior_points(HEIGHT, WIDTH, FINE.strides))[order]
    kept = nms(wanted, best[order], limits.iou_threshold)
    assert len(boxes) == len(kept)
    assert (len(boxes) == 0) == (floor > 1)
    assert scores == pytest.approx(best[order][kept].numpy(), abs=1e-4)
    if len(boxes):  # of equal scores either may come first
        apart = np.abs(boxes[:, None] - wanted[kept].numpy()[None]).max(2)
        same = apart.argmin(1)
        assert sorted(same) == list(range(len(kept)))
        assert apart.min(1).max() < 0.1
        assert worn == pytest.approx(raw[order][kept][same][:, 6:].numpy(), abs=1e-2)


def test_exported_classifier_equals_the_network(config):
    """The graph that cuts and colours by itself says what the network says of the same crop."""
    net, picture = shaken(Judge()), np.full((HEIGHT * 3 // 2, WIDTH), 120, np.uint8)
    picture[:HEIGHT] = np.linspace(40, 200, WIDTH).astype(np.uint8)
    boxes = np.array([[20, 20, 60, 70], [70, 30, 90, 50]], np.float32)
    worn = np.array([[2, -1, 0], [-1, 0, 3]], np.float32)
    blend = Blend(0.7, 0.5, (0.1, -0.2, 0.3))
    graph = classifier_model(net, config.classifier, blend)
    (probabilities,) = run(graph, i420=picture, boxes=boxes, worn=worn)
    views = crops(planes(picture, RGB_FROM_YUV), torch.tensor(boxes), config.classifier.margin, config.classifier.side)
    with torch.no_grad():
        logits = 0.7 * torch.tensor(worn) + 0.5 * net(views) + torch.tensor(blend.bias)
        expected = logits.softmax(1).numpy()
    assert probabilities == pytest.approx(expected, abs=2e-3)


def test_published_colours():
    """Black, white and the red of BT.601 come out right."""
    yuv = np.array([[0, 0, 0], [219, 0, 0], [65, -38, 112]], float).T
    assert pytest.approx(np.array([[0] * 3, [255] * 3, [255, 0, 0]]), abs=2) == (RGB_FROM_YUV @ yuv).T


def test_equal_boxes_lose_nothing():
    """The box loss is 0 for equal boxes and grows with the distance."""
    box = torch.tensor([[10.0, 10, 30, 40]])
    losses = [float(eiou_loss(box + shift, box)) for shift in (0, 2, 8, 50)]
    assert losses[0] == pytest.approx(0, abs=1e-5)
    assert losses == sorted(losses)


def test_assignment():
    """Priors at a face learn it, those under an ignored face learn nothing, the others learn background."""
    priors = prior_points(64, 64)
    raw = torch.zeros(len(priors), 6)
    boxes = torch.tensor([[4.0, 4, 28, 28], [36.0, 36, 60, 60]])
    target, overlap = assign(raw, decode_boxes(raw[:, 2:], priors), priors, boxes, torch.tensor([True, False]))
    centres = priors[:, :2]
    assert (target >= 0).any()
    assert set(target.tolist()) == {0, BACKGROUND, LEFT_OUT}
    assert ((centres[target == 0] > -20) & (centres[target == 0] < 52)).all()
    assert ((centres[target == LEFT_OUT] > 36) & (centres[target == LEFT_OUT] < 60)).all()
    assert (overlap[target == 0] > 0).all()


def test_loss_without_faces_is_finite():
    """A batch that shows nobody still teaches background."""
    priors = prior_points(64, 64)
    raw = torch.zeros(1, len(priors), 6, requires_grad=True)
    nobody = Scene(torch.zeros(3, 64, 64), torch.zeros(0, 4), torch.zeros(0, dtype=torch.bool), torch.zeros(0))
    loss = detector_loss(raw, priors, [nobody])
    loss.backward()
    assert torch.isfinite(loss)
    assert torch.isfinite(raw.grad).all()


def sample(classes=(0, 1), landmarks=None):
    """A photo with two faces."""
    boxes = torch.tensor([[40.0, 40, 100, 110], [200.0, 60, 250, 120]])[: len(classes)]
    points = torch.full((len(classes), 5, 2), torch.nan) if landmarks is None else landmarks
    pixels = torch.full((3, 200, 300), 120, dtype=torch.uint8)
    return Sample("a/images/x.jpg", pixels, boxes, torch.tensor(classes), points)


def test_scene_is_repeatable_and_well_formed(config):
    """The same dice give the same scene; boxes stay inside it."""
    for seed in range(20):
        torch.manual_seed(0)
        one = make_scene(sample(), long_side=320, side=128, smallest_px=5, dice=random.Random(seed))
        torch.manual_seed(0)
        other = make_scene(sample(), long_side=320, side=128, smallest_px=5, dice=random.Random(seed))
        assert torch.equal(one.pixels, other.pixels)
        assert one.pixels.shape == (3, 128, 128)
        assert ((one.boxes >= 0) & (one.boxes <= 128)).all()
        assert len(one.boxes) == len(one.judged) == len(one.classes)


@pytest.mark.parametrize("across", [2, 4])
def test_tiled_scene_is_repeatable_and_keeps_each_face(config, across):
    """Of so many photos each way; the boxes lie in their own tiles, and the same dice give the same scene."""
    photos = [sample()] * across**2
    for seed in range(10):
        scenes = []
        for _ in range(2):
            torch.manual_seed(0)
            dice = random.Random(seed)
            scenes.append(tiled_scene(photos, across=across, side=128, smallest_px=5, dice=dice))
        one, other = scenes
        assert torch.equal(one.pixels, other.pixels)
        assert one.pixels.shape == (3, 128, 128)
        own = 128 / across
        assert (one.boxes[:, :2] // own == ((one.boxes[:, 2:] - 1e-3) // own)).all(), "a face crosses no tile"
        assert len(one.boxes) == len(one.judged) == len(one.classes) > 0


def test_scenes_are_tiled_as_often_as_asked(config):
    """All, none, or a share of them."""
    drawn = []

    def draw(count):
        drawn.append(count)
        return [sample()] * count

    wanted = msgspec.structs.replace(config.detector, tiled={2: 0.5, 4: 0.25})
    dice = random.Random(4)
    for _ in range(200):
        draw_scene(draw, wanted, long_side=128, side=64, dice=dice)
    often = {count: drawn.count(count) / 200 for count in set(drawn)}
    assert often == {4: pytest.approx(0.5, abs=0.1), 16: pytest.approx(0.25, abs=0.1), 1: pytest.approx(0.25, abs=0.1)}


def test_ignored_face_is_not_judged(config):
    """A face that nobody labelled stays ignored in every scene."""
    for seed in range(20):
        scene = make_scene(sample((IGNORED,)), long_side=320, side=128, smallest_px=1, dice=random.Random(seed))
        assert not scene.judged.any()


LANDMARKS = torch.tensor([[40.0, 45], [70, 45], [55, 58], [45, 72], [65, 72]])


def patches_of(config, count=20, worn=1):
    """Grey faces with known landmarks."""
    side = config.classifier.patch_side
    pixels = torch.randint(90, 160, (count, 3, side, side), dtype=torch.uint8)
    faces = [("a/x.jpg", index) for index in range(count)]
    return Patches(pixels, torch.full((count,), worn), LANDMARKS.expand(count, 5, 2), faces)


def test_views_have_the_classifier_size(config):
    """Varied views are numbers in 0..255 of the size that the classifier sees, with what is worn in each."""
    views, classes = varied(patches_of(config), torch.arange(20), config.classifier, random.Random(1))
    assert views.shape == (20, 3, config.classifier.side, config.classifier.side)
    assert 0 <= float(views.min()) <= float(views.max()) < 255.01
    assert classes.shape == (20,)
    assert set(classes.tolist()) > {1}, "of twenty bare faces some get a mask drawn"


def test_cut_patches_carry_their_landmarks(config):
    """A patch knows which face of which photo it is, and its landmarks lie where the face's are."""
    photo = sample(landmarks=torch.stack([LANDMARKS + 15, LANDMARKS + 170]))
    patches = cut_patches([photo], config.classifier, 300)
    assert patches.faces == [("a/images/x.jpg", 0), ("a/images/x.jpg", 1)]
    middle = (photo.boxes[0, :2] + photo.boxes[0, 2:]) / 2
    scale = config.classifier.patch_side / (config.classifier.patch_margin * 70)
    expected = (LANDMARKS[2] + 15 - middle) * scale + config.classifier.patch_side / 2
    assert patches.landmarks[0, 2].numpy() == pytest.approx(expected.numpy(), abs=0.01)


def weighed(bare_weight, worn):
    """The loss of a network that is unsure, for one face that wears `worn`."""
    torch.manual_seed(1)
    priors = prior_points(64, 64)
    raw = torch.randn(1, len(priors), 6) * 0.1
    scene = Scene(torch.zeros(3, 64, 64), torch.tensor([[8.0, 8, 40, 44]]), torch.tensor([True]), torch.tensor([worn]))
    return float(detector_loss(raw, priors, [scene], bare_weight=bare_weight))


@pytest.mark.parametrize(("worn", "counts"), [(0, False), (1, True), (2, True), (DOUBTED, False)])
def test_missed_bare_faces_count_more(worn, counts):
    """A bare or badly masked face that is not found costs more than a masked one; what is in doubt does not."""
    assert (weighed(2.0, worn) > weighed(1.0, worn) * 1.01) == counts


def test_badly_worn_masks_count_more():
    """An unsure row costs more for the rare class, and one in doubt costs nothing."""
    rows = torch.zeros(1, 9)
    costs = [float(worn_loss(rows, torch.tensor([worn]))) for worn in (0, 1, 2, DOUBTED)]
    assert costs[0] == pytest.approx(costs[1])
    assert costs[2] > 2 * costs[0]
    assert costs[3] == 0


def test_fresh_is_what_the_published_network_has_not():
    """Exactly the parameters that the wide network has and the published one has not start from nothing."""
    published = {name for name, _ in YuNet(PUBLISHED).named_parameters()}
    wide = {name for name, _ in YuNet(FINE).named_parameters()}
    assert {name for name in wide if is_fresh(name)} == wide - published
    assert len(wide - published) > 10


@pytest.mark.parametrize(("side", "count"), [(448, 12), (320, 24), (640, 6), (4000, 2)])
def test_batches_have_alike_many_pixels(side, count):
    """Larger scenes are fewer, smaller ones more, and never only one: batch norm needs two."""
    assert scenes_a_batch([320, 448, 640], 12, side) == count


def test_batch_is_of_one_side_and_repeatable(config):
    """All scenes of a batch have one of the configured sides, and the same epoch and number give the same batch."""
    detector = msgspec.structs.replace(config.detector, sides=[64, 96, 128], batch=2)
    data = msgspec.structs.replace(config.data, detection={"a": 1.0})
    small = msgspec.structs.replace(config, detector=detector, data=data, long_side=128)
    epoch = TrainingScenes([sample()] * 12, small, 3)
    assert len(epoch) == 6
    shapes = []
    for one, other in zip(epoch, TrainingScenes([sample()] * 12, small, 3), strict=True):
        assert all(torch.equal(a.pixels, b.pixels) for a, b in zip(one, other, strict=True))
        shapes += [{scene.pixels.shape for scene in one}]
    assert all(len(some) == 1 for some in shapes)
    assert set.union(*shapes) <= {(3, side, side) for side in (64, 96, 128)}
    assert len(set.union(*shapes)) > 1


def test_bare_photos_get_their_share():
    """Photos that show a bare face are drawn as often as asked for."""
    samples = [sample((0, 0))] * 8 + [sample((0, 1))] * 2
    weights = photo_weights(samples, 0.6, {"a": 2.0, "b": 1.0})
    assert 1 - weights[7] == pytest.approx(0.6)
    assert weights[-1] == pytest.approx(1.0)


def test_threshold_weighs_both_kinds():
    """A threshold that loses every bare face is not chosen for a little precision."""
    face, bare, nothing = (0.0, 0, 30, 30), (50.0, 0, 80, 30), (200.0, 0, 230, 30)
    truth = Truth([face, bare], ["mask", "no_mask"])
    measured = [Measured("a", truth, [face, bare, nothing], [0.9, 0.5, 0.3], np.zeros((3, 3), np.float32))]
    assert 0.3 < best_threshold(measured, 12) <= 0.5


def test_average_follows(config):
    """The average moves towards the network and ends near it."""
    net = torch.nn.Linear(2, 2)
    average = Average(net, 0.9)
    with torch.no_grad():
        net.weight.add_(1.0)
    before = (net.weight - average.net.weight).abs().max()
    for _ in range(100):
        average.follow(net)
    assert (net.weight - average.net.weight).abs().max() < before / 100
