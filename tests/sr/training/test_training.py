"""The training loop: it learns, resumes to the same result, and notices NaN."""

import copy
import io
import math

import pytest
import torch
from torch import nn

from corenas import Diverged
from corenas.training.loop import Training
from corenas.training.networks import seeded
from corenas.training.schedules import cosine, multistep, schedule_of
from corenas_sr.config import PixelTrainingConfig
from corenas_sr.data.datasets import ImagePair
from corenas_sr.data.patches import PatchSampler
from corenas_sr.training.pixel import PixelStep, pixel_training


def pairs():
    generator = torch.Generator().manual_seed(0)
    images = []
    for number in range(3):
        low = torch.randint(0, 256, (3, 20, 24), generator=generator, dtype=torch.uint8)
        high = low.repeat_interleave(2, 1).repeat_interleave(2, 2)
        images.append(ImagePair(str(number), low, high))
    return images


class Tiny(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Conv2d(3, 12, 3, padding=1)

    def forward(self, x):
        return nn.functional.pixel_shuffle(self.layer(x), 2)


def training(steps=30, **changes):
    config = PixelTrainingConfig(
        steps=steps, batch=4, patch=8, learning_rate=1e-2, schedule="cosine", report_every=10
    )
    with seeded(5):
        model = Tiny()
    return pixel_training(model, pairs(), config, scale=2, seed=1, **changes), model


def test_training_lowers_the_loss_and_ends_at_its_last_step():
    task, _ = training(200)
    losses = [event.scalars["loss"] for event in task.events()]
    assert losses[-1] < 0.7 * losses[0]
    assert task.result(None).values["steps"] == 200


@pytest.mark.parametrize("cut", [1, 2])
def test_resumed_training_gives_the_same_weights(cut):
    whole, expected = training()
    scalars = [event.scalars for event in whole.events()]
    task, _ = training()
    events = task.events()
    for _ in range(cut):
        next(events)
    buffer = io.BytesIO()
    torch.save(task.state(), buffer)
    buffer.seek(0)
    again, model = training()
    again.restore(torch.load(buffer, weights_only=True))
    assert [event.scalars for event in again.events()] == scalars[cut:]
    for ours, theirs in zip(model.parameters(), expected.parameters(), strict=True):
        assert torch.equal(ours, theirs)


def test_training_that_was_saved_on_a_gpu_goes_on_here():
    task, _ = training()
    events = task.events()
    next(events)
    state = copy.deepcopy(task.state())
    rest = [event.scalars for event in events]
    for group in state["training"]["step"]["optimiser"]["param_groups"]:
        group.update(lr=torch.tensor(group["lr"]), capturable=True)  # as `PixelStep` has it there
    again, _ = training()
    again.restore(state)
    assert [event.scalars for event in again.events()] == rest


def test_result_is_json_where_an_image_is_restored_without_error(tmp_path):
    task, _ = training(10, validate=lambda module: {"psnr": math.inf})
    list(task.events())
    assert task.result(tmp_path).values["scalars"]["psnr"] is None


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_a_loss_that_leaves_the_finite_numbers_ends_the_training(bad):
    task, model = training()
    events = task.events()
    next(events)
    with torch.no_grad():
        model.layer.bias.fill_(bad)
    with pytest.raises(Diverged, match="between steps 10 and 20"):
        next(events)


def test_learning_rate_follows_the_schedule():
    rate = cosine(100)
    assert [rate(0), rate(50), rate(100)] == pytest.approx([1.0, 0.5, 0.0])
    fall = multistep([200, 300], gamma=0.5)
    assert [fall(199), fall(200), fall(300)] == [1.0, 0.5, 0.25]
    config = PixelTrainingConfig(steps=8, schedule="multistep", milestones=(4,), gamma=0.1)
    assert [schedule_of(config)(step) for step in (3, 4)] == [1.0, 0.1]


def test_the_optimiser_uses_the_scheduled_rate():
    rates = []

    class Watched(PixelStep):
        def step(self, batches):
            rates.append(self.optimisers[0].param_groups[0]["lr"])
            return super().step(batches)

    config = PixelTrainingConfig(steps=20, learning_rate=1e-2, schedule="cosine")
    stream = PatchSampler(pairs(), scale=2, patch=8, batch=4, seed=1)
    list(Training.of(config, Watched(Tiny(), learning_rate=1e-2), (stream,)).events())
    expected = [1e-2 * 0.5 * (1 + math.cos(math.pi * step / 20)) for step in range(20)]
    assert rates == pytest.approx(expected)


def test_validation_comes_at_its_interval_and_at_the_end():
    config = PixelTrainingConfig(steps=50, batch=2, patch=8, report_every=10, validate_every=20)
    task = pixel_training(
        Tiny(), pairs(), config, scale=2, seed=0, validate=lambda module: {"psnr": 1.0}
    )
    assert [e.step for e in task.events() if "psnr" in e.scalars] == [20, 40, 50]


class Scripted:
    """A validation whose scores are given beforehand; it remembers the networks it measured."""

    def __init__(self, *scores):
        self.scores = list(scores)
        self.measured = []

    def __call__(self, module):
        self.measured.append(copy.deepcopy(module.state_dict()))
        return {"lpips": -self.scores.pop(0)}


def kept_training(validate, *, keep=lambda values: -values["lpips"]):
    """Four validations, ten steps apart; the saved network is the attribute ``saved``."""
    with seeded(5):
        model = Tiny()

    def save(module, folder):
        task.saved = module.state_dict()
        return {"model": "model"}

    task = Training(
        PixelStep(model, learning_rate=1e-2),
        (PatchSampler(pairs(), scale=2, patch=8, batch=4, seed=1),),
        steps=40,
        schedule=cosine(40),
        report_every=10,
        validate=validate,
        validate_every=10,
        save=save,
        keep=keep,
    )
    return task, model


def assert_same(ours, theirs):
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)


def test_result_is_the_network_that_validated_best_of_equals_the_earliest():
    validate = Scripted(1.0, 3.0, 3.0, 2.0)
    task, model = kept_training(validate)
    events = list(task.events())
    result = task.result(None)
    assert result.values["steps"] == 40
    assert result.values["kept_step"] == 20
    assert result.values["scalars"] == events[1].scalars
    assert result.values["scalars"]["lpips"] == -3.0
    assert_same(task.saved, validate.measured[1])
    assert_same(model.state_dict(), validate.measured[3])  # the one in training is left alone


def test_without_a_score_the_newest_network_counts():
    validate = Scripted(1.0, 3.0, 3.0, 2.0)
    task, _ = kept_training(validate, keep=None)
    list(task.events())
    assert task.result(None).values.keys() == {"steps", "scalars"}
    assert task.state().keys() == {"done", "scalars", "step", "streams"}
    assert_same(task.saved, validate.measured[3])


def test_a_score_that_is_no_number_is_never_the_best():
    validate = Scripted(math.nan, 1.0, math.nan, 0.5)
    task, _ = kept_training(validate)
    events = task.events()
    next(events)
    assert "kept_step" not in task.result(None).values
    assert_same(task.saved, validate.measured[0])
    list(events)
    assert task.result(None).values["kept_step"] == 20


@pytest.mark.parametrize("cut", [1, 2, 3])
def test_a_resumed_training_keeps_the_same_network(cut):
    scores = (1.0, 3.0, 2.0, 2.5)
    whole, _ = kept_training(Scripted(*scores))
    list(whole.events())
    expected = whole.result(None)
    task, _ = kept_training(Scripted(*scores))
    events = task.events()
    for _ in range(cut):
        next(events)
    buffer = io.BytesIO()
    torch.save(task.state(), buffer)
    buffer.seek(0)
    again, _ = kept_training(Scripted(*scores[cut:]))
    again.restore(torch.load(buffer, weights_only=True))
    list(again.events())
    assert again.result(None) == expected
    assert_same(again.saved, whole.saved)


def test_a_steps_remark_is_the_events_message(monkeypatch):
    task, _ = training()
    monkeypatch.setattr(PixelStep, "remark", lambda self, scalars: f"loss {scalars['loss']}")
    events = list(task.events())
    assert [event.message for event in events] == [f"loss {e.scalars['loss']}" for e in events]


def test_a_pixel_step_has_nothing_to_remark():
    assert [event.message for event in training()[0].events()] == ["", "", ""]


def test_initial_weights_come_from_the_seed_and_leave_the_global_state():
    torch.manual_seed(9)
    expected = torch.rand(3)
    torch.manual_seed(9)
    with seeded(4):
        first = Tiny().layer.weight
    assert torch.equal(torch.rand(3), expected)
    with seeded(4):
        assert torch.equal(Tiny().layer.weight, first)
