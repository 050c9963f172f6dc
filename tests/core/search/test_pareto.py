"""The Pareto front against its definition, and as the command prints it."""

from __future__ import annotations

import json
import math
import random
from pathlib import Path

import pytest
from attrs import evolve

from corenas import Architecture, Event, Measurement, Trial, cli
from corenas.runs import journal
from corenas.search.pareto import directions, front
from corenas.values.quantity import MULT_ADDS, Quantity

BETTER = {"psnr": 1, "lpips": -1, "mult_adds": -1}


def trial(number: int, **metrics: float) -> Trial:
    return Trial(number, Architecture("a", {"k": str(number)}), Measurement(metrics), score=1.0)


def numbers(one: Trial) -> dict[str, float]:
    assert one.measurement is not None
    return dict(one.measurement.metrics)


def dominates(one: Trial, other: Trial, signs: dict[str, int]) -> bool:
    """The definition: nowhere worse, and somewhere better."""
    gains = [sign * (numbers(one)[n] - numbers(other)[n]) for n, sign in signs.items()]
    return min(gains) >= 0 and max(gains) > 0


@pytest.mark.parametrize("names", [["psnr"], ["psnr", "lpips"], ["mult_adds", "lpips", "psnr"]])
@pytest.mark.parametrize("levels", [4, 1000])
@pytest.mark.parametrize("seed", range(5))
def test_front_is_what_no_other_trial_dominates(names: list[str], levels: int, seed: int) -> None:
    generator = random.Random(seed)
    signs = {name: BETTER[name] for name in names}
    trials = [
        trial(number, **{name: float(generator.randrange(levels)) for name in names})
        for number in range(60)
    ]
    undominated = [t for t in trials if not any(dominates(o, t, signs) for o in trials)]
    first = {tuple(numbers(t).values()): t for t in reversed(undominated)}
    found = front(trials, signs)
    assert sorted(t.number for t in found) == sorted(t.number for t in first.values())
    assert front(reversed(trials), signs) == found
    values = [signs[names[0]] * numbers(t)[names[0]] for t in found]
    assert values == sorted(values, reverse=True)


def test_trials_without_all_finite_numbers_are_left_out() -> None:
    good = trial(0, psnr=30.0, mult_adds=1e9)
    others = [
        trial(1, psnr=31.0),
        trial(2, psnr=math.inf, mult_adds=1e9),
        trial(3, psnr=math.nan, mult_adds=1.0),
        Trial(4, Architecture("a", {}), status="failed", reason="killed"),
    ]
    assert front([*others, good], {"psnr": 1, "mult_adds": -1}) == [good]


def test_directions_are_those_of_the_quantities_and_what_has_none_is_left_out() -> None:
    quantities = [
        Quantity("psnr", "higher"),
        Quantity("lpips", "lower"),
        Quantity("watched", "neither"),
        MULT_ADDS,
    ]
    assert list(directions(quantities).items()) == [("psnr", 1), ("lpips", -1), ("mult_adds", -1)]


# the command

TRIALS = [
    {"psnr": 30.0, "lpips": 0.30, "mult_adds": 9e9},
    {"psnr": 31.0, "lpips": 0.30, "mult_adds": 8e9},
    {"psnr": 29.0, "lpips": 0.20, "mult_adds": 8.5e9},
    {"psnr": 28.0, "lpips": 0.40, "mult_adds": 1e9},
]


@pytest.fixture
def run_folder(tmp_path: Path) -> Path:
    folder = tmp_path / "run"
    folder.mkdir()
    info = {"schema": 1, "recipe": "tpsr", "preset": "quick", "seed": 0, "created": "now"}
    (folder / "run.json").write_text(json.dumps(info))
    written = journal.Journal(folder / "journal.jsonl")
    quantities = (Quantity("psnr", "higher"), Quantity("lpips", "lower"), MULT_ADDS)
    for stage in ("search", "fresh"):
        written.append(Event("stage", message="started", stage=stage, quantities=quantities))
        for number, metrics in enumerate(TRIALS if stage == "search" else TRIALS[:1]):
            event = Event("trial", number, 4, trial=trial(number, **metrics), stage=stage)
            written.append(event)
        failed = Trial(9, Architecture("a", {}), status="failed", reason="killed")
        written.append(Event("failed", 4, 4, trial=failed, stage=stage))
    written.close()
    return folder


def test_best_prints_the_front_of_each_stage(
    run_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["best", str(run_folder), "--pareto"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "better: psnr higher, lpips lower, mult_adds lower"
    assert lines[1] == "search: 3 of 4 trials"
    assert lines[2].split() == ["trial", "architecture", "psnr", "lpips", "mult_adds"]
    assert [line.split()[0] for line in lines[3:6]] == ["1", "2", "3"]
    assert lines[3].split()[2:] == ["31", "0.3000", "8.00", "G"]
    assert lines[6] == "fresh: 1 of 1 trials"


def test_best_prints_the_front_of_named_metrics_as_json(
    run_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["best", str(run_folder), "--pareto", "--metrics", "mult_adds, psnr", "--json"]
    assert cli.main(arguments) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["better"] == {"mult_adds": "lower", "psnr": "higher"}
    searched = [each for each in found["architectures"] if each["stage"] == "search"]
    assert [each["number"] for each in searched] == [3, 1]
    assert Trial.from_json(searched[1]) == trial(1, **TRIALS[1])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--pareto", "--metrics", "lpisp"], "'lpisp' was not measured; did you mean 'lpips'?"),
        (["--metrics", "lpips"], "--metrics: needs --pareto"),
    ],
)
def test_wrong_metrics_are_refused(
    run_folder: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], message: str
) -> None:
    assert cli.main(["best", str(run_folder), *arguments]) == 2
    err = capsys.readouterr().err
    assert message in err
    assert err.count("\n") == 1


def test_front_of_nothing_is_an_error(run_folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (run_folder / "journal.jsonl").unlink()
    assert cli.main(["best", str(run_folder), "--pareto"]) == 1
    assert capsys.readouterr().err == f"error: {run_folder}: no trial is measured yet\n"


def test_front_is_of_the_highest_fidelity_alone() -> None:
    early = evolve(trial(0, psnr=40.0, mult_adds=1.0), fidelity=1 / 9)
    late = [trial(number, psnr=30.0 + number, mult_adds=float(number)) for number in (1, 2)]
    signs = {"psnr": 1, "mult_adds": -1}
    for trials in ([early, *late], [*late, early]):
        assert {each.number for each in front(trials, signs)} == {1, 2}
    lost = evolve(trial(3, mult_adds=1.0), fidelity=1.0)
    assert front([early, lost], signs) == [early]
