"""The supervised step on data that has nothing to do with images, and what goes with it."""

import copy
import math
import re
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
import torch
from torch import nn

from corenas.devices import cpu_threads
from corenas.errors import Diverged
from corenas.search.executors.serial import Serial
from corenas.stopping import Stop
from corenas.training import timing
from corenas.training.config import TrainingConfig
from corenas.training.loop import Training, train_share, what_is_left
from corenas.training.networks import seeded
from corenas.training.step import SupervisedStep, adam
from corenas.values.evaluation import Outcome
from corenas.values.fidelity import Share


class Points:
    """Batches of points on the line y = 2x - 1, or of the class of their sign."""

    def __init__(self, classes=False, seed=0):
        self.generator = torch.Generator().manual_seed(seed)
        self.classes = classes

    def next_batch(self):
        x = torch.rand(16, 1, generator=self.generator) * 2 - 1
        return (x, (x[:, 0] > 0).long()) if self.classes else (x, 2 * x - 1)

    def state(self):
        return {"generator": self.generator.get_state()}

    def restore(self, state):
        self.generator.set_state(state["generator"])


def line(rate=0.05):
    with seeded(0):
        return SupervisedStep(nn.Linear(1, 1), nn.functional.mse_loss, learning_rate=rate)


def test_a_line_is_found():
    step = line()
    config = TrainingConfig(steps=600, schedule="cosine")
    list(Training.of(config, step, (Points(),)).events())
    assert step.deliverable().weight.item() == pytest.approx(2, abs=1e-3)
    assert step.deliverable().bias.item() == pytest.approx(-1, abs=1e-3)


def test_classes_are_learned():
    with seeded(0):
        network = nn.Linear(1, 2)
    step = SupervisedStep(network, nn.functional.cross_entropy, learning_rate=0.1)
    events = list(Training.of(TrainingConfig(steps=200), step, (Points(classes=True),)).events())
    assert events[-1].scalars["loss"] < 0.5 * math.log(2)


def test_the_update_is_that_of_torchs_adam():
    step, points = line(), Points()
    with seeded(0):
        network = nn.Linear(1, 1)
    optimiser = torch.optim.Adam(network.parameters(), lr=0.05)
    for _ in range(5):
        loss = step.step([points.next_batch()])["loss"]
    points = Points()
    for _ in range(5):
        x, y = points.next_batch()
        expected = nn.functional.mse_loss(network(x), y)
        optimiser.zero_grad()
        expected.backward()
        optimiser.step()
    assert torch.equal(loss, expected)
    assert torch.equal(step.model.weight, network.weight)


def test_inputs_and_targets_are_placed():
    placed = []

    def place(values, device):
        placed.append((tuple(values.shape), device.type))
        return values.float()

    step = SupervisedStep(nn.Linear(1, 1), nn.functional.mse_loss, learning_rate=1e-3, place=place)
    step.step([(torch.ones(4, 1, dtype=torch.uint8), torch.ones(4, 1, dtype=torch.uint8))])
    assert placed == [((4, 1), "cpu")] * 2


@pytest.mark.parametrize("cut", [1, 3])
def test_a_restored_step_goes_on_to_the_same_weights(cut):
    whole, points = line(), Points()
    for number in range(5):
        if number == cut:
            state, drawn = copy.deepcopy(whole.state()), points.state()
        whole.step([points.next_batch()])
    again, points = line(), Points(seed=9)
    again.restore(state)
    points.restore(drawn)
    for _ in range(cut, 5):
        again.step([points.next_batch()])
    assert torch.equal(again.model.weight, whole.model.weight)


def test_adam_remembers_the_rate_that_the_schedule_scales():
    network = nn.Linear(2, 2)
    (group,) = adam(network, 0.25).param_groups
    assert (group["lr"], group["initial_lr"], group["capturable"]) == (0.25, 0.25, False)
    assert [id(p) for p in group["params"]] == [id(p) for p in network.parameters()]


def test_divergence_says_what_may_help():
    task = Training.of(TrainingConfig(steps=20, report_every=10), line(math.inf), (Points(),))
    message = "loss became nan between steps 0 and 10; a smaller learning_rate"
    with pytest.raises(Diverged, match=message):
        list(task.events())


class Watching(SupervisedStep):
    def __init__(self):
        super().__init__(nn.Linear(1, 1), nn.functional.mse_loss, learning_rate=1e-3)
        self.seen = []

    def step(self, batches):
        self.seen.append(torch.get_num_threads())
        return super().step(batches)


@pytest.fixture
def three_threads():
    with cpu_threads(3):
        yield


@pytest.mark.usefixtures("three_threads")
def test_a_training_has_its_threads_and_leaves_the_count_outside_alone():
    step, validated = Watching(), []

    def validate(module):
        validated.append(torch.get_num_threads())
        return {}

    config = TrainingConfig(steps=6, report_every=2, threads=2)
    task = Training.of(config, step, (Points(),), validate=validate)
    outside = [torch.get_num_threads() for _ in task.events()]
    assert (set(step.seen), set(validated), outside) == ({2}, {2}, [3, 3, 3])
    assert torch.get_num_threads() == 3


@pytest.mark.usefixtures("three_threads")
def test_the_count_of_threads_is_put_back_when_a_training_fails_or_is_left():
    failing = Training.of(TrainingConfig(steps=2), line(math.inf), (Points(),))
    with pytest.raises(Diverged):
        list(failing.events())
    assert torch.get_num_threads() == 3
    left = Training.of(TrainingConfig(steps=2, report_every=1), line(), (Points(),)).events()
    next(left)
    left.close()
    assert torch.get_num_threads() == 3


@pytest.mark.usefixtures("three_threads")
def test_a_job_in_this_process_has_one_thread_as_in_a_worker():
    class Job:
        def run(self, device, report):
            return Outcome({"threads": torch.get_num_threads()}, 0.0)

    executor = Serial(stop=Stop())
    executor.submit(0, Job())
    _, outcome = executor.next()
    assert outcome.metrics == {"threads": 1}
    assert torch.get_num_threads() == 3


@pytest.mark.usefixtures("three_threads")
def test_a_step_is_timed_with_the_threads_of_its_training():
    step = Watching()
    assert timing.time_step(step, (Points(),), threads=2) > 0
    assert step.seen == [2] * (timing.WARM_UP + timing.TIMED)
    assert torch.get_num_threads() == 3


def test_the_median_of_several_calls_counts(monkeypatch):
    ticks = iter([0, 90, 100, 190, 200, 201, 300, 305, 400, 402])
    monkeypatch.setattr(timing.time, "perf_counter", lambda: next(ticks))
    monkeypatch.setattr(timing, "WARM_UP", 0)
    assert timing.median_seconds(lambda: None, times=5) == 5


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="asks as Linux answers")
def test_the_peak_of_memory_is_in_bytes():
    status = Path("/proc/self/status").read_text()
    largest = 1024 * int(re.search(r"VmHWM:\s+(\d+) kB", status)[1])
    assert 0.9 * largest < timing.peak_memory("cpu") < 100 * largest


def test_a_system_that_does_not_tell_its_memory_gives_no_number(monkeypatch):
    monkeypatch.setitem(sys.modules, "resource", None)
    assert timing.peak_memory("cpu") == 0


def test_training_and_its_timing_can_be_imported_without_resource():
    program = """
        import sys
        sys.modules["resource"] = None
        import corenas.training.timing, corenas.training.loop, corenas.training.step
    """
    subprocess.run([sys.executable, "-c", textwrap.dedent(program)], check=True)


def weights(training):
    return [tensor.clone() for tensor in training.deliverable().state_dict().values()]


def in_shares(training, *fidelities, annealed=False):
    """Train a new training from each share's state, as jobs in several processes do."""
    state = b""
    for fidelity in fidelities:
        part, share = training(), Share(fidelity, state, annealed)
        list(train_share(part, share))
        state = what_is_left(part, share)
    return part, state


@pytest.mark.parametrize("schedule", ["constant", "cosine", "multistep"])
def test_training_in_shares_is_the_uninterrupted_one_bit_for_bit(schedule):
    config = TrainingConfig(
        steps=50, schedule=schedule, milestones=(20, 33), warmup=8, report_every=7
    )

    def training():
        return Training.of(config, line(), (Points(),))

    whole = training()
    assert [event.step for event in whole.events()][-1] == 50
    part, state = in_shares(training, 0.1, 1 / 3, 1.0)
    assert state == b""
    assert all(map(torch.equal, weights(part), weights(whole)))
    third, state = in_shares(training, 1 / 3)
    assert state
    assert not any(map(torch.equal, weights(third), weights(whole)))


def test_share_ends_at_its_step_and_events_count_through():
    config = TrainingConfig(steps=90, report_every=20)
    training = Training.of(config, line(), (Points(),))
    assert [(e.step, e.total) for e in training.events(30)] == [(20, 90), (30, 90)]
    assert [e.step for e in training.events(until=90)] == [50, 70, 90]
    assert list(training.events()) == []


def test_rate_follows_the_schedule_of_the_full_training_or_falls_to_its_end_at_each_share():
    config = TrainingConfig(steps=40, schedule="cosine", report_every=1)

    def rates(until, annealed):
        step = line()
        training = Training.of(config, step, (Points(),))
        return [
            step.optimisers[0].param_groups[0]["lr"]
            for _ in training.events(until, annealed=annealed)
        ]

    def half_cosine(at, steps):
        return pytest.approx(0.05 * 0.5 * (1 + math.cos(math.pi * at / steps)))

    assert rates(10, annealed=False) == [half_cosine(at, 40) for at in range(10)]
    assert rates(10, annealed=True) == [half_cosine(at, 10) for at in range(10)]


def test_smallest_share_has_a_step():
    assert [Share(1 / 81).steps(full) for full in (10, 81, 2000)] == [1, 1, 25]
    assert Share().steps(7) == 7


def test_a_loss_that_rises_for_good_is_remarked_on():
    step = SupervisedStep(nn.Linear(1, 1), nn.functional.mse_loss, learning_rate=0.1)
    assert [step.remark({"loss": loss}) for loss in (9.0, 0.5, 2.0, 0.4)] == [""] * 4
    again = SupervisedStep(nn.Linear(1, 1), nn.functional.mse_loss, learning_rate=0.1)
    again.restore(step.state())
    assert again.remark({"loss": 4.1}).startswith("the loss is 4.1 and was 0.4 before")
    # What never was above zero has nothing to leave.
    assert [step.remark({"loss": loss}) for loss in (0.0, 3.0)] == ["", ""]
