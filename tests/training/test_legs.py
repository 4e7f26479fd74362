"""Legs of a training: resumable, within their limits; and the network's start."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")

from modelling.training.detector import fine_start  # noqa: E402
from modelling.training.leg import Leg, Terms  # noqa: E402
from modelling.training.photos import IGNORED, Sample  # noqa: E402
from modelling.training.teacher import Seen, with_teacher  # noqa: E402
from modelling.training.yunet import PUBLISHED, YuNet  # noqa: E402

TERMS = Terms(epochs=3, learning_rate=0.05, weight_decay=0.0, averaging=0.9)


def leg(path, terms=TERMS):
    """A leg of the smallest network."""
    torch.manual_seed(4)
    return Leg("small", torch.nn.Linear(2, 1), path / "small.pt", terms)


def batches(epoch):
    """Two batches of which the numbers depend on the epoch."""
    dice = torch.Generator().manual_seed(epoch)
    return [torch.rand(8, 2, generator=dice) for _ in range(2)]


def loss(net, batch):
    """How far the network is from adding its two inputs."""
    return (net(batch)[:, 0] - batch.sum(1)).square().mean()


def test_leg_learns_and_ends(tmp_path):
    """After its epochs a leg is done, has learnt, and says what it spent."""
    one = leg(tmp_path, Terms(40, 0.05, 0.0, 0.9))
    before = loss(one.net, batches(0)[0]).item()
    averaged = one.run(batches, loss)
    assert one.done() == 1
    assert one.epoch == 40
    assert one.seconds > 0
    assert loss(averaged, batches(0)[0]).item() < before / 5


def test_interrupted_leg_ends_as_an_undisturbed_one(tmp_path):
    """A run that stops after any epoch goes on to exactly the weights of one that did not."""
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    whole = leg(tmp_path / "a", Terms(3, 0.05, 0.0, 0.9))

    class Stopped(Exception):
        """The machine went away."""

    def dying(epoch):
        if epoch == 2:
            raise Stopped
        return batches(epoch)

    with pytest.raises(Stopped):
        leg(tmp_path / "b", Terms(3, 0.05, 0.0, 0.9)).run(dying, loss)
    resumed = leg(tmp_path / "b", Terms(3, 0.05, 0.0, 0.9))
    assert resumed.epoch == 2
    for one, other in zip(whole.run(batches, loss).parameters(), resumed.run(batches, loss).parameters(), strict=True):
        assert torch.allclose(one, other, atol=1e-6)


def test_finished_leg_is_not_run_again(tmp_path):
    """The checkpoint of a finished leg gives its network without another step."""
    first = leg(tmp_path).run(batches, loss)

    def never(_epoch):
        raise AssertionError

    again = leg(tmp_path).run(never, loss)
    assert torch.equal(first.weight, again.weight)


def test_checkpoint_of_something_else_is_refused(tmp_path):
    """Weights that learnt other photos, or by other settings, are not gone on with: they may know what is set aside."""
    leg(tmp_path).run(batches, loss)
    torch.manual_seed(4)
    with pytest.raises(ValueError, match=r"small\.pt: was made with other settings, photos or starting weights"):
        Leg("small", torch.nn.Linear(2, 1), tmp_path / "small.pt", TERMS, "another")


def test_checkpoint_from_other_weights_is_refused(tmp_path):
    """Other weights are another start: what learnt from those before is not what learns from these now."""
    leg(tmp_path).run(batches, loss)
    torch.manual_seed(5)
    with pytest.raises(ValueError, match=r"small\.pt: was made with other settings, photos or starting weights"):
        Leg("small", torch.nn.Linear(2, 1), tmp_path / "small.pt", TERMS)


def test_checkpoint_without_identity_is_refused(tmp_path):
    """A checkpoint from before identities is told like any other that does not fit."""
    leg(tmp_path).run(batches, loss)
    state = torch.load(tmp_path / "small.pt")
    del state["identity"]
    torch.save(state, tmp_path / "small.pt")
    with pytest.raises(ValueError, match="was made with other settings, photos or starting weights"):
        leg(tmp_path)


def test_fine_network_sees_as_the_published_one():
    """What is new in it starts as nothing: before it learns, its features are those of the published weights."""
    torch.manual_seed(2)
    published = YuNet(PUBLISHED).eval()
    picture = torch.rand(1, 3, 64, 64) * 255
    with torch.no_grad():
        levels = fine_start(published).eval().backbone(picture)
        pairs = zip(published.backbone(picture), levels[:3], strict=True)
        assert levels[3].shape[2:] == (16, 16)
        assert all(torch.allclose(one, other, atol=1e-5) for one, other in pairs)


def test_fresh_parts_learn_faster(tmp_path):
    """What starts from nothing takes longer steps than what goes on from published weights."""
    one = Leg("small", torch.nn.Linear(2, 1), tmp_path / "a.pt", TERMS, fresh=lambda name: name == "bias")
    one._step(lambda: loss(one.net, torch.rand(8, 2)))
    rates = {len(group["params"][0].shape): group["lr"] for group in one.optimiser.param_groups}
    assert rates[1] > 2 * rates[2]


def test_teacher_adds_what_nobody_labelled(monkeypatch):
    """A sure face that no box covers is ignored, an unsure one is left, and a labelled one gets its landmarks."""
    seen = Seen(
        torch.tensor([[10.0, 10, 30, 32], [60.0, 10, 80, 30], [60.0, 60, 80, 80]]),
        torch.tensor([0.5, 0.9, 0.4]),
        torch.arange(30.0).reshape(3, 5, 2),
    )
    monkeypatch.setattr("modelling.training.teacher.seen_faces", lambda *_: seen)
    photo = Sample(
        "a/b.jpg", torch.zeros(3, 100, 100, dtype=torch.uint8), torch.tensor([[10.0, 10, 30, 30]]), torch.tensor([1]),
        torch.full((1, 5, 2), torch.nan),
    )  # fmt: skip
    ticks = []
    (after,) = with_teacher([photo], None, long_side=640, least_score=0.6, tick=lambda: ticks.append(1))
    assert after.classes.tolist() == [1, IGNORED]
    assert after.boxes[1].tolist() == [60, 10, 80, 30]
    assert torch.equal(after.landmarks[0], seen.landmarks[0])
    assert torch.isnan(after.landmarks[1]).all()
    assert ticks == [1]
