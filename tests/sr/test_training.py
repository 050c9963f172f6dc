"""The training loop: it learns, resumes to the same result, and notices NaN."""

import copy
import io
import math

import pytest
import torch
from torch import nn

from corenas import Diverged
from corenas_sr.config import TrainingConfig
from corenas_sr.datasets import ImagePair
from corenas_sr.training import cosine, multistep, pixel_training, schedule_of, seeded


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
    config = TrainingConfig(
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
    for group in state["step"]["optimiser"]["param_groups"]:
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
    config = TrainingConfig(steps=8, schedule="multistep", milestones=(4,), gamma=0.1)
    assert [schedule_of(config)(step) for step in (3, 4)] == [1.0, 0.1]


def test_the_optimiser_uses_the_scheduled_rate():
    task, _ = training(20)
    rates = []
    original = task._step.step
    task._step.step = lambda batches: (
        rates.append(task._step.optimisers[0].param_groups[0]["lr"]) or original(batches)
    )
    list(task.events())
    expected = [1e-2 * 0.5 * (1 + math.cos(math.pi * step / 20)) for step in range(20)]
    assert rates == pytest.approx(expected)


def test_validation_comes_at_its_interval_and_at_the_end():
    config = TrainingConfig(steps=50, batch=2, patch=8, report_every=10, validate_every=20)
    task = pixel_training(
        Tiny(), pairs(), config, scale=2, seed=0, validate=lambda module: {"psnr": 1.0}
    )
    assert [e.step for e in task.events() if "psnr" in e.scalars] == [20, 40, 50]


def test_initial_weights_come_from_the_seed_and_leave_the_global_state():
    torch.manual_seed(9)
    expected = torch.rand(3)
    torch.manual_seed(9)
    with seeded(4):
        first = Tiny().layer.weight
    assert torch.equal(torch.rand(3), expected)
    with seeded(4):
        assert torch.equal(Tiny().layer.weight, first)
