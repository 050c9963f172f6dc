"""What a run offers to a recipe beside stages: seeds, facts, what happened, files."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from corenas import (
    Architecture,
    CorenasError,
    Event,
    Measurement,
    NothingYet,
    Result,
    ResumeError,
    Run,
    Stop,
    Stopped,
    Trial,
)
from corenas.protocols import State
from corenas.show.reporter import Quiet
from corenas.values.quantity import MULT_ADDS, Quantity


class Writing:
    """A task of one measured and one failed trial, which writes its text into files."""

    def __init__(self, text: str = "weights", *names: str) -> None:
        self.text = text
        self.names = names or ("best.safetensors",)
        self.done = False

    def events(self) -> Iterator[Event]:
        one = Architecture("s", {"width": "8"})
        yield Event("trial", 1, 1, trial=Trial(0, one, Measurement({"psnr": 30.0}), 30.0))
        yield Event("failed", 1, 1, trial=Trial(1, one, status="failed", reason="killed"))
        self.done = True

    def state(self) -> State:
        return {"done": self.done}

    def restore(self, state: State) -> None:
        self.done = state["done"]

    def result(self, folder: Path) -> Result:
        for name in self.names:
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_text(self.text)
        return Result({"text": self.text}, {"best": self.names[0]})


Open = Callable[[], Run]


@pytest.fixture
def open_run(tmp_path: Path) -> Iterator[Open]:
    opened: list[Run] = []

    def make() -> Run:
        for run in opened:
            run.close()
        opened[:] = [Run(tmp_path, seed=3, stop=Stop(), reporter=Quiet())]
        return opened[0]

    yield make
    for run in opened:
        run.close()


def test_a_seed_is_63_bits_of_sha256_over_json(open_run: Open) -> None:
    code = 'import hashlib; print(hashlib.sha256(b\'[3, "train-x2", "weights"]\').hexdigest())'
    printed = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True).stdout
    assert open_run().seed_for("train-x2", "weights") == int(printed[:16], 16) // 2


def test_seeds_differ_by_name_and_by_where_names_end(open_run: Open) -> None:
    run = open_run()
    names = [(), ("a",), ("b",), ("a", "b"), ("ab",), ("a", ""), ('a", "b',)]
    seeds = {run.seed_for(*each) for each in names}
    assert len(seeds) == len(names)
    assert all(0 <= seed < 2**63 for seed in seeds)


def test_a_run_knows_whether_it_was_begun(open_run: Open) -> None:
    assert not open_run().begun
    first = open_run()
    assert not first.begun
    first.stage("search", Writing())
    assert not first.begun
    assert open_run().begun


def test_events_and_trials_of_a_stage_come_from_this_and_earlier_sessions(open_run: Open) -> None:
    open_run().stage("search", Writing())
    run = open_run()
    run.stage("other", Writing(), folder="other")
    for stage in ("search", "other"):
        kinds = [event.kind for event in run.events(stage)]
        assert kinds == ["stage", "trial", "failed", "stage"]
        assert [trial.number for trial in run.trials(stage)] == [0]
    assert run.events("absent") == []
    assert run.trials("absent") == []


def test_the_first_event_of_a_stage_describes_what_it_measures(open_run: Open) -> None:
    quantities = [Quantity("psnr", "higher", "dB", "Y, shave 2"), MULT_ADDS]
    open_run().stage("search", Writing(), quantities=iter(quantities))
    first, *others = open_run().events("search")
    assert first.quantities == tuple(quantities)
    assert all(event.quantities == () for event in others)
    assert "quantities" not in others[0].to_json()


def test_a_fact_is_made_once_and_found_again(open_run: Open) -> None:
    made: list[int] = []

    def make() -> dict[str, Any]:
        made.append(1)
        return {"missing": ("lpips", "vgg"), "count": 2}

    run = open_run()
    first = run.remember("weights", make)
    run.stage("search", Writing())
    assert first == {"missing": ["lpips", "vgg"], "count": 2}
    assert run.remember("weights", make) == first
    assert open_run().remember("weights", make) == first
    assert len(made) == 1


def test_an_empty_fact_is_one_too(open_run: Open) -> None:
    run = open_run()
    assert run.remember("nothing", lambda: None) is None
    run.stage("search", Writing())
    assert open_run().remember("nothing", lambda: 1) is None


def test_a_run_that_never_began_makes_its_facts_anew(open_run: Open) -> None:
    assert open_run().remember("weights", lambda: 1) == 1
    assert open_run().remember("weights", lambda: 2) == 2


@pytest.mark.parametrize("content", [b"", b"[]", b'{"value": 2}', b"\xff", None])
def test_a_damaged_fact_is_refused_with_what_to_do(
    open_run: Open, tmp_path: Path, content: bytes | None
) -> None:
    run = open_run()
    run.remember("weights", lambda: {"missing": 1})
    run.stage("search", Writing())
    file = tmp_path / "checkpoints" / "weights.fact.json"
    changed = file.read_bytes().replace(b'"missing": 1', b'"missing": 0')
    file.write_bytes(changed if content is None else content)
    with pytest.raises(ResumeError, match=r"weights\.fact\.json: damaged.*copy.*another folder"):
        open_run().remember("weights", lambda: 2)


def test_what_a_fact_cannot_be_made_of_is_told_as_it_is(open_run: Open) -> None:
    def make() -> None:
        raise FileNotFoundError("photograph.png")

    with pytest.raises(FileNotFoundError):
        open_run().remember("data", make)


def test_a_stage_has_a_folder_of_its_own_when_it_asks(open_run: Open, tmp_path: Path) -> None:
    run = open_run()
    one = run.stage("search", Writing("a"), folder="search")
    two = run.stage("fresh", Writing("b"), folder="fresh")
    assert one.files == {"best": "search/best.safetensors"}
    assert run.file(one, "best") == tmp_path / "models" / "search" / "best.safetensors"
    assert [run.file(each, "best").read_text() for each in (one, two)] == ["a", "b"]
    again = open_run()
    assert again.stage("search", Writing("c")) == one
    assert again.file(one, "best").read_text() == "a"


@pytest.mark.parametrize("resumed", [False, True])
def test_a_stage_does_not_overwrite_what_another_handed_over(
    open_run: Open, tmp_path: Path, resumed: bool
) -> None:
    run = open_run()
    run.stage("search", Writing("a", "best.safetensors", "best.json"))
    run = open_run() if resumed else run
    with pytest.raises(CorenasError, match=r"search and fresh both hand over .*best\.json"):
        run.stage("fresh", Writing("b", "other.safetensors", "best.json"))
    assert (tmp_path / "models" / "best.json").read_text() == "a"
    assert not (tmp_path / "models" / "other.safetensors").exists()


def test_the_same_stage_may_write_its_files_again(open_run: Open, tmp_path: Path) -> None:
    stop = Stop()

    def observe(run: Run, event: Event) -> None:
        stop.request("interrupted")

    first = Run(tmp_path, seed=3, stop=stop, reporter=Quiet(), observe=observe)
    half = first.stage("search", Writing("half", "best.safetensors", "only-now"))
    assert first.file(half, "best").read_text() == "half"
    first.close()
    run = open_run()
    assert run.file(run.stage("search", Writing("whole")), "best").read_text() == "whole"
    record = json.loads((tmp_path / "checkpoints" / "search.finished.json").read_text())
    assert set(record["digests"]) == {"best.safetensors"}


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (Path.unlink, "is missing"),
        (lambda file: file.write_text("weightz"), "was changed"),
        (lambda file: file.write_text(""), "was changed"),
    ],
    ids=["missing", "changed", "empty"],
)
@pytest.mark.parametrize("resumed", [False, True])
def test_a_file_that_is_not_what_was_handed_over_is_refused(
    open_run: Open, damage: Callable[[Path], object], message: str, resumed: bool
) -> None:
    run = open_run()
    result = run.stage("search", Writing())
    damage(run.file(result, "best"))
    if resumed:
        run = open_run()
        with pytest.raises(ResumeError, match=message):
            run.stage("search", Writing())
    with pytest.raises(ResumeError, match=rf"best\.safetensors: {message}; the stage search"):
        run.file(result, "best")


def test_a_purpose_that_the_result_lacks_is_the_recipes_mistake(open_run: Open) -> None:
    run = open_run()
    result = run.stage("search", Writing())
    with pytest.raises(KeyError):
        run.file(result, "cache")


def test_what_a_kill_left_of_a_hand_over_is_removed(open_run: Open, tmp_path: Path) -> None:
    torn = tmp_path / "models" / ".x1~" / "search"
    torn.mkdir(parents=True)
    (torn / "best.safetensors").write_text("half")
    open_run()
    assert not torn.parent.exists()


def test_having_nothing_yet_is_a_way_to_be_stopped() -> None:
    assert issubclass(NothingYet, Stopped)
    assert NothingYet("nothing").exit_status == 130
