"""A training that has a time instead of a number of steps: it ends in time, annealed."""

import pytest
import torch
from torch import nn

from corenas.training.config import TrainingConfig
from corenas.training.loop import Training
from corenas.training.phases import Phase, PhasedTraining
from corenas.training.schedules import Pace, schedule_of
from corenas.training.step import SupervisedStep

SECONDS = 100.0
PLANNED = 1000


class Machine:
    """A clock, and batches that take as long as the machine then needs for a step."""

    def __init__(self, cost):
        self.now, self.cost, self.rates, self.drawn = 0.0, cost, [], 0
        self.step = SupervisedStep(nn.Linear(1, 1), nn.functional.mse_loss, learning_rate=0.1)

    def next_batch(self):
        self.now += self.cost(self.now)
        self.drawn += 1
        self.rates.append(float(self.step.optimisers[0].param_groups[0]["lr"]))
        return torch.ones(2, 1), torch.ones(2, 1)

    def validate(self, module):
        self.now += 3 * self.cost(self.now)
        return {"psnr": 1.0}

    def state(self):
        return {}

    def restore(self, state):
        pass

    def training(self, steps=PLANNED, seconds=SECONDS):
        config = TrainingConfig(steps=steps, schedule="cosine", report_every=10, validate_every=200)
        pace = Pace(steps, seconds, clock=lambda: self.now)
        return Training.of(config, self.step, (self,), validate=self.validate, pace=pace)


COSTS = {
    "as planned": lambda now: SECONDS / PLANNED,
    "twice as fast": lambda now: 0.5 * SECONDS / PLANNED,
    "three times as slow": lambda now: 3 * SECONDS / PLANNED,
    "busy at first": lambda now: (4 if now < 40 else 0.5) * SECONDS / PLANNED,
    "busy in the end": lambda now: (0.5 if now < 60 else 4) * SECONDS / PLANNED,
}


@pytest.mark.parametrize("cost", COSTS)
def test_training_takes_its_time_however_fast_the_machine_is(cost):
    machine = Machine(COSTS[cost])
    training = machine.training()
    events = list(training.events())
    assert machine.now == pytest.approx(SECONDS, rel=0.06)
    assert events[-1].step == events[-1].total == PLANNED
    assert training.result(None).values["updates"] == machine.drawn
    # The rate follows the whole schedule, never up again, to its end.
    assert machine.rates == sorted(machine.rates, reverse=True)
    assert machine.rates[0] == pytest.approx(0.1)
    assert machine.rates[-1] < 0.001
    # Five validations, wherever they fell.
    assert sum("psnr" in event.scalars for event in events) == 5


def test_without_a_disturbance_each_step_counts_for_one():
    machine = Machine(COSTS["as planned"])
    list(machine.training(seconds=SECONDS * (1 + 15 / PLANNED)).events())  # validations included
    assert machine.drawn == pytest.approx(PLANNED, rel=0.01)


def test_training_that_goes_on_has_the_time_that_was_left():
    first = Machine(COSTS["three times as slow"])
    training = first.training()
    for event in training.events():
        if event.step >= 500:
            break
    state = training.state()
    second = Machine(COSTS["twice as fast"])
    again = second.training()
    again.restore(state)
    events = list(again.events())
    assert events[0].step > 500
    assert first.now + second.now == pytest.approx(SECONDS, rel=0.06)


def test_phases_have_their_shares_of_the_time():
    machine = Machine(COSTS["three times as slow"])
    ends = []

    def phase(steps):
        def build(network):
            ends.append(machine.now)
            return machine.training(steps, SECONDS * steps / PLANNED)

        return Phase(steps, build)

    task = PhasedTraining([phase(800), phase(200)], nn.Linear(1, 1))
    events = list(task.events())
    assert [ends[1], machine.now] == pytest.approx([80, 100], rel=0.08)
    assert events[-1].step == PLANNED
    assert task.result(None).values["updates"] == machine.drawn


def test_rate_of_a_plan_is_that_of_its_position():
    config = TrainingConfig(steps=PLANNED, schedule="cosine")
    machine = Machine(COSTS["twice as fast"])
    list(machine.training().events())
    schedule = schedule_of(config)
    halfway = machine.rates[machine.drawn // 2]
    assert halfway == pytest.approx(0.1 * schedule(PLANNED / 2), rel=0.1)
