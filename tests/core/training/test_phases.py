"""Phases, moving averages, clipping and warm-up: what is done, and the same after a resume."""

import copy

import pytest
import torch
from torch import nn

from corenas.training.config import TrainingConfig
from corenas.training.loop import Training
from corenas.training.phases import Phase, PhasedTraining
from corenas.training.schedules import schedule_of
from corenas.training.step import SupervisedStep

RATE = 0.05


class Numbers:
    """Batches of y = 2 x + 1 from a seed."""

    def __init__(self, seed):
        self._generator = torch.Generator().manual_seed(seed)

    def next_batch(self):
        x = torch.randn(8, 1, generator=self._generator)
        return x, 2 * x + 1

    def state(self):
        return {"generator": self._generator.get_state()}

    def restore(self, state):
        self._generator.set_state(state["generator"])


def fresh():
    torch.manual_seed(3)
    return nn.Linear(1, 1)


def step_of(network, **options):
    return SupervisedStep(network, nn.functional.mse_loss, learning_rate=RATE, **options)


def phase(number, steps, **options):
    def build(network):
        config = TrainingConfig(steps=steps, report_every=5)
        step = step_of(copy.deepcopy(network), **options)
        return Training.of(config, step, (Numbers(number),))

    return Phase(steps, build)


def phased():
    return PhasedTraining([phase(1, 20, ema=0.9), phase(2, 10), phase(3, 10, ema=0.5)], fresh())


def weights(module):
    return {name: tensor.clone() for name, tensor in module.state_dict().items()}


def test_phases_are_the_same_as_trainings_one_after_the_other():
    network = fresh()
    for number, steps, options in ((1, 20, {"ema": 0.9}), (2, 10, {}), (3, 10, {"ema": 0.5})):
        training = phase(number, steps, **options).build(network)
        list(training.events())
        network = training.deliverable()
    task = phased()
    events = list(task.events())
    assert [event.step for event in events] == [5, 10, 15, 20, 25, 30, 35, 40]
    assert {event.total for event in events} == {40}
    assert [event.scalars["phase"] for event in events] == [1] * 4 + [2] * 2 + [3] * 2
    assert torch.equal(task.deliverable().weight, network.weight)
    assert task.result(None).values["steps"] == 40


def test_a_single_phase_is_the_training_itself():
    task = PhasedTraining([phase(1, 10)], fresh())
    training = phase(1, 10).build(fresh())
    assert list(task.events()) == list(training.events())
    assert torch.equal(task.deliverable().weight, training.deliverable().weight)


@pytest.mark.parametrize("stop", range(1, 8))
def test_a_resume_at_any_event_gives_the_same_bytes(stop):
    whole = phased()
    expected = list(whole.events())
    task = phased()
    events = task.events()
    before = [next(events) for _ in range(stop)]
    # As a checkpoint has it: a copy that later steps do not reach.
    state = copy.deepcopy(task.state())
    again = phased()
    again.restore(state)
    assert [*before, *again.events()] == expected
    assert again.state()["training"]["step"].keys() == whole.state()["training"]["step"].keys()
    for name, tensor in weights(whole.deliverable()).items():
        assert torch.equal(tensor, weights(again.deliverable())[name])


def test_a_training_without_phases_is_refused():
    with pytest.raises(ValueError, match="at least one"):
        PhasedTraining([], fresh())


def test_the_average_is_that_of_its_definition():
    network = fresh()
    step = step_of(network, ema=0.8)
    numbers, averages = Numbers(0), None
    for update in range(60):
        step.step([numbers.next_batch()])
        newest = weights(network)
        if averages is None:
            averages = newest
        decay = min(0.8, (1 + update) / (10 + update))
        averages = {n: decay * averages[n] + (1 - decay) * newest[n] for n in newest}
    ours = weights(step.deliverable())
    for name, expected in averages.items():
        torch.testing.assert_close(ours[name], expected)
        assert not torch.equal(ours[name], newest[name])


def test_without_an_average_the_newest_weights_are_delivered():
    network = fresh()
    assert step_of(network).deliverable() is network


def test_clipping_bounds_the_norm_of_all_gradients():
    network = fresh()
    step = step_of(network, clip=1e-3)
    step.step([Numbers(0).next_batch()])
    norm = torch.cat([p.grad.flatten() for p in network.parameters()]).norm()
    assert float(norm) == pytest.approx(1e-3, rel=1e-3)


def test_the_rate_rises_while_the_schedule_falls():
    config = TrainingConfig(steps=10, warmup=4, schedule="multistep", milestones=(2, 8), gamma=0.5)
    rates = [schedule_of(config)(step) for step in range(10)]
    assert rates == [0.25, 0.5, 0.375, 0.5, 0.5, 0.5, 0.5, 0.5, 0.25, 0.25]


@pytest.mark.parametrize("cuts", [(13,), (20,), (7, 20, 31), (30,)])
def test_shares_that_end_anywhere_in_the_phases_give_the_uninterrupted_training(cuts):
    whole = phased()
    list(whole.events())
    state = None
    for until in (*cuts, whole.steps):
        part = phased()
        if state is not None:
            part.restore(state)
        steps = [event.step for event in part.events(until)]
        assert steps[-1] == until
        state = part.state()
    expected = weights(whole.deliverable())
    assert weights(part.deliverable()).keys() == expected.keys()
    assert all(
        torch.equal(expected[name], each) for name, each in weights(part.deliverable()).items()
    )
