"""A sequence: parts in order, failures passed over, and a resume that changes nothing."""

import io
import json
import weakref

import pytest
import torch
from torch import nn

from corenas import CorenasError, Diverged, Event, Result, Run, Stop, Stopped
from corenas.show.reporter import Quiet
from corenas.training.loop import Training
from corenas.training.networks import seeded
from corenas.training.schedules import constant
from corenas.training.sequence import Part, TaskSequence
from corenas_sr.data.datasets import ImagePair
from corenas_sr.data.patches import PatchSampler
from corenas_sr.training.pixel import PixelStep


class Count:
    """A task that counts to ``steps`` and fails where it is told to."""

    def __init__(self, steps, *, error=None, fails_at=2):
        self.steps = steps
        self.error = error
        self.fails_at = fails_at
        self.done = 0

    def events(self):
        while self.done < self.steps:
            self.done += 1
            if self.error is not None and self.done == self.fails_at:
                raise self.error
            message = "half" if 2 * self.done == self.steps else ""
            yield Event("epoch", self.done, self.steps, {"count": self.done}, message=message)

    def state(self):
        return {"done": self.done}

    def restore(self, state):
        self.done = state["done"]

    def result(self, folder):
        (folder / "model.txt").write_text(f"counted to {self.done}")
        (folder / "beside.json").write_bytes(b"")
        return Result({"count": self.done}, {"model": "model.txt"})


def part(name, steps=4, **options):
    return Part(name, lambda: Count(steps, **options), steps)


def diverging(name, steps=4):
    return part(name, steps, error=Diverged(f"{name} became nan"))


def told(events):
    return [(event.kind, event.step, event.total, event.message) for event in events]


def through_a_file(state):
    buffer = io.BytesIO()
    torch.save(state, buffer)
    buffer.seek(0)
    return torch.load(buffer, weights_only=True)


def test_parts_are_done_in_order_and_their_steps_count_through():
    sequence = TaskSequence([part("a", 2), part("b", 3)])
    assert told(sequence.events()) == [
        ("epoch", 1, 5, "a: half"),
        ("epoch", 2, 5, "a"),
        ("epoch", 3, 5, "b"),
        ("epoch", 4, 5, "b"),
        ("epoch", 5, 5, "b"),
    ]


def test_result_has_each_parts_values_and_files_in_a_folder_of_its_own(tmp_path):
    sequence = TaskSequence([part("a", 2), part("b", 3)])
    list(sequence.events())
    result = sequence.result(tmp_path)
    assert json.loads(json.dumps(result.values)) == {
        "members": [
            {
                "name": name,
                "values": {"count": count},
                "files": {"model": f"{name}/model.txt"},
                "failed": "",
            }
            for name, count in (("a", 2), ("b", 3))
        ]
    }
    assert result.files == {"a": "a/model.txt", "b": "b/model.txt"}
    assert (tmp_path / result.files["b"]).read_text() == "counted to 3"
    assert (tmp_path / "b" / "beside.json").read_bytes() == b""


def test_a_part_that_fails_is_recorded_and_passed_over(tmp_path):
    sequence = TaskSequence([diverging("a"), part("b", 1)])
    assert told(sequence.events()) == [
        ("epoch", 1, 5, "a"),
        ("failed", 4, 5, "a: a became nan"),
        ("epoch", 5, 5, "b"),
    ]
    result = sequence.result(tmp_path)
    failed, finished = result.values["members"]
    assert failed == {"name": "a", "values": {}, "files": {}, "failed": "a became nan"}
    assert finished["failed"] == ""
    assert result.files == {"b": "b/model.txt"}


def test_a_part_that_cannot_be_built_is_passed_over():
    def refuse():
        raise CorenasError("no weights")

    events = told(TaskSequence([Part("a", refuse, 2), part("b", 1)]).events())
    assert events == [("failed", 2, 3, "a: no weights"), ("epoch", 3, 3, "b")]


@pytest.mark.parametrize("count", [1, 2])
def test_when_all_parts_fail_the_last_error_is_raised(count):
    sequence = TaskSequence([diverging(name) for name in "ab"[:count]])
    with pytest.raises(Diverged, match=f"{'ab'[count - 1]} became nan"):
        list(sequence.events())


def test_an_interruption_is_no_failure():
    sequence = TaskSequence([part("a", error=Stopped("stop"), fails_at=3), part("b")])
    with pytest.raises(Stopped):
        list(sequence.events())
    assert sequence.state() == {"ended": [], "current": {"done": 3}}


def test_an_error_that_is_no_ones_fault_but_ours_is_not_hidden():
    with pytest.raises(ZeroDivisionError):
        list(TaskSequence([part("a", error=ZeroDivisionError()), part("b")]).events())


def test_names_are_given_once():
    with pytest.raises(ValueError, match=r"a name of its own, got \['a', 'a'\]"):
        TaskSequence([part("a"), part("a")])


def test_parts_are_built_when_their_turn_comes():
    built = []

    def build(name):
        built.append(name)
        return Count(1)

    events = TaskSequence([Part(name, lambda name=name: build(name), 1) for name in "ab"]).events()
    assert built == []
    next(events)
    assert built == ["a"]


def test_a_part_is_let_go_before_the_next_one_is_built():
    """Two trainings may not fit into a GPU's memory at once."""
    tasks = []

    def build():
        assert all(task() is None for task in tasks)
        task = Count(1)
        tasks.append(weakref.ref(task))
        return task

    list(TaskSequence([Part(name, build, 1) for name in "abc"]).events())
    assert len(tasks) == 3


def test_a_sequence_is_resumed_anywhere_to_the_same_end(tmp_path):
    parts = [part("a", 2), diverging("b"), part("c", 3)]
    whole = TaskSequence(parts)
    expected = told(whole.events())
    values = whole.result(tmp_path / "whole").values
    for cut in range(1, len(expected) + 1):
        interrupted = TaskSequence(parts)
        events = interrupted.events()
        for _ in range(cut):
            next(events)
        resumed = TaskSequence(parts)
        resumed.restore(through_a_file(interrupted.state()))
        assert told(resumed.events()) == expected[cut:]
        folder = tmp_path / str(cut)
        assert resumed.result(folder).values == values
        assert (folder / "a/model.txt").read_text() == "counted to 2"
        assert (folder / "c/model.txt").read_text() == "counted to 3"


def test_what_has_ended_is_handed_over_while_the_rest_is_missing(tmp_path):
    sequence = TaskSequence([part("a", 2), part("b")])
    events = sequence.events()
    assert sequence.result(tmp_path).values == {"members": []}
    for _ in range(3):
        next(events)
    assert list(sequence.result(tmp_path).files) == ["a"]


class Doubling(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Conv2d(3, 12, 3, padding=1)

    def forward(self, x):
        return nn.functional.pixel_shuffle(self.layer(x), 2)


def training(seed, *, rate=1e-2):
    generator = torch.Generator().manual_seed(0)
    low = torch.randint(0, 256, (3, 12, 12), generator=generator, dtype=torch.uint8)
    pair = ImagePair("a", low, low.repeat_interleave(2, 1).repeat_interleave(2, 2))
    with seeded(seed):
        model = Doubling()

    def save(module, folder):
        torch.save(module.state_dict(), folder / "model.pt")
        return {"model": "model.pt"}

    return Training(
        PixelStep(model, learning_rate=rate),
        (PatchSampler([pair], scale=2, patch=8, batch=2, seed=seed),),
        steps=4,
        schedule=constant(),
        report_every=1,
        save=save,
    )


def trainings():
    return TaskSequence(
        [
            Part("first", lambda: training(1), 4),
            Part("broken", lambda: training(2, rate=float("inf")), 4),
            Part("second", lambda: training(3), 4),
        ]
    )


@pytest.mark.parametrize("stop_at", [2, 5, 8, 10])
def test_a_stopped_run_of_trainings_ends_with_the_same_models(stop_at, tmp_path):
    def run(folder, stop):
        run = Run(folder, seed=0, stop=stop, reporter=Quiet())
        result = run.stage("compare", trainings())
        run.close()
        return result

    expected = run(tmp_path / "whole", Stop())
    assert [bool(m["failed"]) for m in expected.values["members"]] == [False, True, False]
    assert "became nan" in expected.values["members"][1]["failed"]
    stop = Stop()
    folder = tmp_path / "stopped"

    def observe(run, event):
        if event.step == stop_at:
            stop.request("interrupted")

    first = Run(folder, seed=0, stop=stop, reporter=Quiet(), observe=observe)
    first.stage("compare", trainings())
    first.close()
    assert first.stopped
    again = run(folder, Stop())
    assert again == expected
    for file in expected.files.values():
        ours, theirs = (
            torch.load(tmp_path / name / "models" / file, weights_only=True)
            for name in ("stopped", "whole")
        )
        assert all(torch.equal(ours[name], theirs[name]) for name in theirs)
