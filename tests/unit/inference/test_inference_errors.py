"""The file with a model's errors, and how aggregate is told of them: services.inference.errors."""

import asyncio

import msgspec
import pytest
from golden import ERRORS, SHA
from msgspec import structs
from patience import until

from proto.sightings import ModelV1
from proto.subjects import MODELS
from services.inference import errors as sut
from services.inference.errors import ERRORS_NAME, ErrorsFile, ModelErrorsPublisher, read_errors


class JetStream:
    """A bus that stores, or fails for one site, or hangs."""

    def __init__(self):
        self.stored, self.broken, self.hangs = [], "", False

    async def store(self, row, message):
        assert row is MODELS
        while self.hangs in {True, message.site}:
            await asyncio.sleep(0.005)
        if message.site == self.broken:
            raise RuntimeError("no room")
        self.stored.append(message)


def written(folder, errors=ERRORS, sha=SHA):
    (folder / ERRORS_NAME).write_bytes(msgspec.json.encode(ErrorsFile(model_sha256=sha, errors=errors)))
    return folder


def test_the_file_is_read(tmp_path):
    """What was written is read; without a file nothing is known."""
    assert read_errors(tmp_path, SHA) is None
    assert read_errors(written(tmp_path), SHA) == ERRORS


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"{", "Input data was truncated; write it with python -m bench.model_errors, or remove it"),
        (b"{}", "Object missing required field `model_sha256`; write it with"),
    ],
)
def test_what_is_no_such_file_is_named(tmp_path, content, why):
    """A file that cannot be used is one clear line, with its path."""
    (tmp_path / ERRORS_NAME).write_bytes(content)
    with pytest.raises(ValueError, match=f"^{tmp_path / ERRORS_NAME}: {why}"):
        read_errors(tmp_path, SHA)


def test_a_file_that_cannot_be_opened_is_named(tmp_path):
    """A folder in its place is told with its path."""
    (tmp_path / ERRORS_NAME).mkdir()
    with pytest.raises(ValueError, match=r"errors\.json: .*directory"):
        read_errors(tmp_path, SHA)


def test_another_models_errors_are_refused(tmp_path):
    """A file that was left from another model would make its interval wrong: it says which model is meant."""
    with pytest.raises(ValueError, match=f"model_sha256 is {SHA}, but the model here is {'b' * 64}; remove it"):
        read_errors(written(tmp_path), "b" * 64)


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        (
            {"sensitivity_limits": (0.98, 0.99)},
            r"errors.sensitivity_limits are \[0.98, 0.99\]; sensitivity, 0.97, must",
        ),
        (
            {"recall_ratio_limits": (0.5, 0.9)},
            r"errors.recall_ratio_limits are \[0.5, 0.9\]; recall_ratio, 0.9844, must",
        ),
        (
            {"sensitivity": 0.5, "sensitivity_limits": (0, 1), "specificity": 0.5, "specificity_limits": (0, 1)},
            "add up to 1 or less",
        ),
    ],
)
def test_nonsense_is_named(tmp_path, changes, why):
    """Limits beside their value, and verdicts that say nothing, are refused with the path in the file."""
    wrong = structs.replace(ERRORS, **changes)
    with pytest.raises(ValueError, match=why):
        read_errors(written(tmp_path, wrong), SHA)


async def test_each_site_is_told_again_and_again(monkeypatch):
    """Each site's stream gets the model and its errors; a site that cannot be told does not keep the others from it."""
    monkeypatch.setattr(sut, "_EVERY_S", 0.01)
    jetstream = JetStream()
    jetstream.broken = "market"
    publisher = ModelErrorsPublisher(jetstream, ["market", "gate"], "masks-1", SHA, ERRORS)
    await publisher.publish()
    said = ModelV1(site="gate", model="masks-1", model_sha256=SHA, errors=ERRORS)
    assert jetstream.stored == [said]
    jetstream.broken, publisher.sites = "", ["port"]
    running = asyncio.create_task(publisher.run())
    await until(lambda: len(jetstream.stored) > 3, "told again")
    running.cancel()
    assert jetstream.stored[1:4] == [structs.replace(said, site="port")] * 3


async def test_a_bus_that_does_not_answer_is_not_waited_for(monkeypatch):
    """The service starts all the same."""
    monkeypatch.setattr(sut, "_TIMEOUT_S", 0.01)
    jetstream = JetStream()
    jetstream.hangs = True
    await ModelErrorsPublisher(jetstream, ["market"], "masks-1", SHA, ERRORS).publish()
    assert jetstream.stored == []


async def test_a_site_that_does_not_answer_keeps_no_other_waiting():
    """Sites are told at the same time: a hundred of them take no longer than one."""
    jetstream = JetStream()
    jetstream.hangs = "market"
    telling = asyncio.create_task(ModelErrorsPublisher(jetstream, ["market", "gate"], "masks-1", SHA, ERRORS).publish())
    await until(lambda: [one.site for one in jetstream.stored] == ["gate"], "the other is told")
    jetstream.hangs = False
    await telling
    assert [one.site for one in jetstream.stored] == ["gate", "market"]


async def test_of_a_model_that_nobody_measured_nothing_is_told():
    """Without a file aggregate hears nothing, and windows have the interval of chance alone."""
    jetstream = JetStream()
    await ModelErrorsPublisher(jetstream, ["market"], "masks-1", SHA, None).publish()
    assert jetstream.stored == []
