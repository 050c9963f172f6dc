"""The recipe trilevel from the command line: what it hands over, survives and refuses."""

from __future__ import annotations

import io
import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

import pytest
import torch
from attrs import evolve
from matplotlib.figure import Figure

from corenas import Architecture, choose, cli
from corenas.cost import count
from corenas.testing.installed import InstallPlugin, install_plugin
from corenas.training.networks import seeded
from corenas_sr.data.datasets import load_pairs
from corenas_sr.models.files import load_model, save_model
from corenas_sr.models.inference import upscale

__all__ = ["install_plugin"]

SPACE = {"cells": 2, "searched_cells": 1, "ups": 1, "widths": [2, 4], "features": 4, "scale": 2}
PHASE = {"steps": 3, "batch": 1, "patch": 6, "report_every": 1}
TRAINING = {"steps": 3, "batch": 2, "patch": 6, "report_every": 1}

CANDIDATES = {
    "search.strategy": "random",
    "search.steps": 2,
    "search.executor": "serial",
    "search.evaluator.crops": 2,
    **{f"search.evaluator.training.{key}": value for key, value in TRAINING.items()},
}
"""A search that draws two candidates."""

DARTS = {
    "start": "both",
    "search.strategy": "darts",
    "search.strategy.warmup.steps": 2,
    "search.strategy.search.steps": 3,
    "search.evaluator.training.patch": 6,
}
"""A search in a supernet that learns from the ground truth."""

Start = Callable[[Mapping[str, object]], int]


def tiny(out: Path, photographs: Path, changes: Mapping[str, object]) -> list[str]:
    """Return the command line of a whole run that takes a second."""
    values: dict[str, object] = {
        "data.train": photographs / "train",
        "data.validation": photographs / "valid",
        **{f"search.space.{key}": value for key, value in SPACE.items()},
        **{f"training.{key}": value for key, value in TRAINING.items()},
    }
    if "search.strategy" not in changes:  # which may have other options
        values |= {f"search.strategy.pretrain.{key}": value for key, value in PHASE.items()}
        values |= {f"search.strategy.search.{key}": value for key, value in PHASE.items()}
    given = [f"--set={key}={_text(value)}" for key, value in (values | changes).items()]
    return ["run", "trilevel", f"--out={out}", *given]


def _text(value: object) -> str:
    return json.dumps(value) if isinstance(value, list | bool) else str(value)


@pytest.fixture(scope="module", autouse=True)
def _cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(autouse=True)
def _no_drawing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave pictures empty: they take most of the time, and `finished` has drawn them already."""
    monkeypatch.setattr(Figure, "savefig", lambda figure, file, **options: None)


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "run"


@pytest.fixture
def start(out: Path, photographs: Path) -> Start:
    """Run the recipe into `out` with changes to its options; return the exit status."""
    return lambda changes: cli.main(tiny(out, photographs, changes))


def summary(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / "summary.json").read_text())
    return found


def journal(folder: Path) -> list[dict[str, Any]]:
    """Return what a journal says, without what depends on the clock."""
    events = [json.loads(line) for line in (folder / "journal.jsonl").read_text().splitlines()]
    for event in events:
        del event["time"], event["check"]
    return events


def losses(folder: Path) -> dict[str, float]:
    """Return the last loss of each stage."""
    return {e["stage"]: e["scalars"]["loss"] for e in journal(folder) if "scalars" in e}


def results(folder: Path) -> dict[str, Any]:
    """Return everything that a run hands over, without what depends on the clock."""
    handed_over = summary(folder)
    handed_over["seconds"] = list(handed_over["seconds"])
    del handed_over["run"]  # when it began
    files = sorted((folder / "models").rglob("*.safetensors"))
    models = {str(file.relative_to(folder)): file.read_bytes() for file in files}
    return {"summary": handed_over, **models}


# What it hands over

WHOLE: Mapping[str, object] = {
    "start": "both",
    "published": "psnr-b",
    # So small that the weights after training are those before it.
    "training.learning_rate": 1e-12,
    "features.network": "random-features",
    "features.layers": ["conv1"],
    **{f"finetune.{key}": value for key, value in TRAINING.items()},
    "finetune.steps": 1,
    "finetune.perceptual": 1.0,
    "finetune.pixel": 0.01,
}


def whole(out: Path, photographs: Path, benchmarks: Path) -> list[str]:
    """Return the command line of a run in which everything that can happen does."""
    return tiny(out, photographs, WHOLE | {"data.benchmarks": [str(benchmarks / "Set5")]})


@pytest.fixture(scope="module")
def finished(photographs: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a run that nothing disturbed, and what it printed; to be read only."""
    folder = tmp_path_factory.mktemp("finished")
    shutil.copytree(photographs / "valid", folder / "Set5")
    with redirect_stdout(io.StringIO()) as printed:
        assert cli.main(whole(folder / "run", photographs, folder)) == 0
    (folder / "run" / "said.txt").write_text(printed.getvalue())
    return folder / "run"


def test_finished_run_hands_over_models_that_load_and_enlarge(
    finished: Path, photographs: Path
) -> None:
    found = summary(finished)
    assert (found["recipe"], found["finished"], found["stopped"]) == ("trilevel", True, "")
    stages = ["search", "train", "finetune", "train-scratch", "finetune-scratch"]
    assert list(found["seconds"]) == stages
    low = load_pairs(str(photographs / "valid"), scale=2, split="validation")[0].lr
    assert [model["name"] for model in found["models"]] == ["x2-search", "x2-scratch"]
    for entry in found["models"]:
        assert set(entry["metrics"]) == set(entry["bicubic"]) == {"psnr", "ssim"}
        model = load_model(finished / entry["file"])
        assert (model.architecture.id, model.scale) == (found["architecture"]["id"], 2)
        assert upscale(model.module, low, scale=2).shape == (3, 64, 72)
        cost = count(model.module, (1, 3, 360, 640))
        assert (entry["params"], entry["mult_adds"]) == (cost.params, cost.mult_adds)
        assert (finished / "images" / f"comparison-{entry['name']}.png").stat().st_size > 0


def test_summary_tells_of_search_teacher_and_costs(finished: Path) -> None:
    found = summary(finished)
    search = found["search"]
    assert search["counts"] == {"steps": 6}
    architecture = Architecture.from_json(search["chosen"]["architecture"])
    (last,) = [e for e in journal(finished) if e["stage"] == "search" and e["step"] == 6][:1]
    assert architecture == Architecture.from_json(last["architecture"])
    assert found["architecture"]["id"] == architecture.id
    assert found["architecture"]["path"] == architecture["path"]
    assert len(found["architecture"]["cells"]) == architecture["path"].count("0")
    assert found["teacher"] == {"source": "ground-truth", "description": "the ground truth"}
    true, paper = found["costs"]["true"], found["costs"]["paper"]
    assert (true["input"], paper["input"]) == ([640, 360], [256, 256])
    assert true["mult_adds"] == found["models"][0]["mult_adds"]
    assert paper["params_millions"] * 1e6 > true["params"]  # batch norms that nothing runs
    # Biases count as well, and the paper's input is smaller.
    assert paper["gflops"] * 1e9 > true["mult_adds"] * 256 * 256 / (640 * 360)


def test_papers_row_stands_beside_ours(finished: Path) -> None:
    found, said = summary(finished), (finished / "said.txt").read_text().splitlines()
    assert found["published"]["set5"] == 31.62
    (ours,) = [line for line in said if line.startswith("ours, x2-scratch")]
    psnr = found["models"][1]["benchmarks"][str(finished.parent / "Set5")]["metrics"]["psnr"]
    numbers = [f"{found['costs']['paper']['gflops']:.6g}", f"{psnr:.6g}", "-"]
    assert ours.split()[-3:] == numbers
    (paper,) = [line for line in said if line.startswith("paper, backbone B, PSNR")]
    assert paper.split()[-5:] == ["000001", "0.51", "33.3", "31.62", "28.26"]


def test_pictures_are_those_of_what_was_recorded(finished: Path) -> None:
    pictures = {file.name for file in (finished / "images").iterdir()}
    assert pictures == {
        *("sparsity.png", "paths.png", "network.png", "network.svg", "network.dot"),
        *("comparison-x2-search.png", "comparison-x2-scratch.png"),
    }


def test_training_begins_with_the_weights_of_the_supernet_or_fresh_ones(finished: Path) -> None:
    def weights(name: str) -> torch.Tensor:
        module = load_model(finished / "models" / f"{name}.safetensors").module
        return torch.cat([weight.detach().flatten() for weight in module.parameters()])

    inherited = weights("search/trilevel-b-inherited")
    assert torch.allclose(weights("trilevel-x2-search"), inherited, atol=1e-9)
    assert not torch.allclose(weights("trilevel-x2-scratch"), inherited, atol=0.1)
    for name in ("trilevel-x2-search", "trilevel-x2-scratch"):  # one step of 1e-4
        assert torch.allclose(weights(f"{name}-finetune"), weights(name), atol=2e-4)


def test_fine_tuning_minimises_features_beside_pixels(finished: Path) -> None:
    found = losses(finished)
    assert found["finetune"] > 5 * found["train"]  # of random features, and 1 % of L1


MOMENTS = """
import os
import signal

from corenas import hookimpl
from corenas.runs import run

if "KILL_AT" in os.environ:
    run.CHECKPOINT_SECONDS, run.CHECKPOINT_SHARE = 0.0, float("inf")


@hookimpl
def corenas_event(run, event):
    moment = f"{event.stage} {event.kind} {event.step}"
    for name, number in (("INTERRUPT_AT", signal.SIGINT), ("KILL_AT", signal.SIGKILL)):
        if moment == os.environ.get(name):
            os.kill(os.getpid(), number)
"""
"""Interrupts or kills a run at an event."""


def test_sampler_over_the_same_space_hands_over_the_same_kind(
    start: Start, out: Path, finished: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert start(CANDIDATES) == 0
    found = summary(out)
    assert found.keys() == summary(finished).keys() - {"published"}
    assert found["search"].keys() == summary(finished)["search"].keys()
    assert found["search"]["counts"] == {"finished": 2, "rejected": 0, "failed": 0}
    assert [model["name"] for model in found["models"]] == ["x2"]
    model = load_model(out / found["models"][0]["file"])
    assert model.architecture.id == found["architecture"]["id"]
    assert (
        "no supernet to take weights from: training begins from scratch" in capsys.readouterr().out
    )
    pictures = {file.name for file in (out / "images").iterdir()}
    assert pictures == {
        *(
            "search.png",
            "pareto.png",
            "network.png",
            "network.svg",
            "network.dot",
            "comparison-x2.png",
        ),
    }


# What it survives


@pytest.mark.parametrize(
    ("moment", "stages", "model"),
    [
        pytest.param(
            "search epoch 5", ["search"], "search/trilevel-b-inherited", id="in the search"
        ),
        pytest.param(
            "search stage 6",  # "finished"
            ["search"],
            "search/trilevel-b-inherited",
            marks=pytest.mark.slow,
            id="between two stages",
        ),
        pytest.param(
            "finetune epoch 1",
            ["search", "train", "finetune"],
            "trilevel-x2-search-finetune",
            marks=pytest.mark.slow,
            id="in a training",
        ),
    ],
)
def test_interrupted_run_hands_over_what_it_has_and_resumes_to_the_same_end(
    photographs: Path,
    out: Path,
    finished: Path,
    install_plugin: InstallPlugin,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    moment: str,
    stages: list[str],
    model: str,
) -> None:
    install_plugin("moments", MOMENTS)
    monkeypatch.setenv("INTERRUPT_AT", moment)
    assert cli.main(whole(out, photographs, finished.parent)) == 130
    assert capsys.readouterr().err == f"stopped; continue with 'corenas resume {out}'\n"
    so_far = summary(out)
    assert (so_far["finished"], so_far["stopped"]) == (False, "interrupted")
    assert list(so_far["seconds"]) == stages
    assert [entry["file"] for entry in so_far["models"]] == [f"models/{model}.safetensors"]
    loaded = load_model(out / so_far["models"][0]["file"])
    assert loaded.architecture.id == so_far["architecture"]["id"]
    monkeypatch.setenv("INTERRUPT_AT", "")
    assert cli.main(["resume", str(out)]) == 0
    assert journal(out) == journal(finished)
    assert results(out) == results(finished)


@pytest.mark.slow
def test_interrupt_when_all_is_done_changes_nothing(
    photographs: Path,
    out: Path,
    finished: Path,
    install_plugin: InstallPlugin,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    install_plugin("moments", MOMENTS)
    monkeypatch.setenv("INTERRUPT_AT", "finetune-scratch stage 1")  # "finished"
    assert cli.main(whole(out, photographs, finished.parent)) == 0
    assert results(out) == results(finished)


def test_sampler_that_is_interrupted_has_an_architecture_and_no_model(
    start: Start,
    out: Path,
    install_plugin: InstallPlugin,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    install_plugin("moments", MOMENTS)
    monkeypatch.setenv("INTERRUPT_AT", "search trial 1")
    assert start(CANDIDATES) == 130
    assert "there is no model yet" in capsys.readouterr().out
    found = summary(out)
    assert (found["search"]["counts"]["finished"], "models" in found) == (1, False)
    assert found["architecture"]["path"]


@pytest.mark.slow
def test_killed_run_resumes_to_the_journal_and_models_of_an_undisturbed_one(
    photographs: Path, out: Path, finished: Path, install_plugin: InstallPlugin
) -> None:
    install_plugin("moments", MOMENTS)
    arguments = whole(out, photographs, finished.parent)
    for moment in ("search epoch 5", "train-scratch epoch 2"):
        environment = {**os.environ, "KILL_AT": moment, "OMP_NUM_THREADS": "1"}
        command = [sys.executable, "-m", "corenas.cli", *arguments]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == -signal.SIGKILL, done.stderr
        arguments = ["resume", str(out)]
    assert cli.main(arguments) == 0
    assert journal(out) == journal(finished)
    assert results(out) == results(finished)


def test_diverged_search_is_said_and_stops_the_run(
    start: Start, out: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert start({"search.strategy.pretrain.learning_rate": 1e30}) == 1
    assert capsys.readouterr().err.startswith("error: stage search: loss became nan between steps ")
    assert not list(out.glob("models/*"))


# What it refuses


def test_network_beyond_the_limits_is_not_trained_for_hours(
    start: Start, out: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    limit = {"search.evaluator.params_limit": 10, "search.evaluator.training.patch": 6}
    assert start(limit) == 1
    assert "search: the network found is refused: " in capsys.readouterr().err
    assert {event["stage"] for event in journal(out)} == {"search"}


def teacher_file(folder: Path, *, scale: int) -> Path:
    """Write the file of a network with random weights."""
    space = choose("search_spaces", "trilevel-b")
    changes = {**SPACE, "widths": tuple(SPACE["widths"]), "scale": scale}
    space = evolve(space, config=evolve(space.config, **changes))
    built = space.build()
    first = Architecture(built.name, {d.name: d.options[0] for d in built.decisions})
    file = folder / "teacher.safetensors"
    with seeded(3):
        network = built.build(first)
    save_model(file, network, space=space, architecture=first, scale=scale)
    return file


def test_network_learns_from_the_teacher_in_search_and_training(
    start: Start, out: Path, tmp_path: Path, finished: Path
) -> None:
    file = teacher_file(tmp_path, scale=2)
    one = {"search.strategy.pretrain.steps": 1, "search.strategy.search.steps": 1}
    changes = {**one, "training.steps": 1, "teacher.source": file, "teacher.cache": tmp_path / "t"}
    assert start(changes) == 0
    assert summary(out)["teacher"]["source"] == str(file)
    assert len(list((tmp_path / "t").rglob("*.png"))) == 3
    # Another network without training is as grey as the teacher; the photographs are not.
    taught, untaught = losses(out), losses(finished)
    for stage in ("search", "train"):
        assert taught[stage] < 0.7 * untaught[stage]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"teacher.source": "{teacher}"}, "teacher.source: {teacher}: its scale is 4, not 2"),
        ({"teacher.source": "absent.pth"}, "teacher.source: {cwd}/absent.pth: no such file"),
        ({"search.strategy.teacher.source": "absent.pth"}, "teacher.source: {cwd}/absent.pth: no "),
        ({"teacher.source": "{valid}"}, "0 images are named train0; one is needed"),
        ({"data.train": "{broken}"}, "broken: one file cannot be used: {broken}/train1.png: damag"),
        ({"data.validation": "{train}"}, "{train} (validation): 3 files cannot be used:"),
        ({"training.patch": 40}, "36x32 LR pixels; a patch needs 40"),
        ({"search.strategy.search.patch": 33}, "36x32 LR pixels; a patch needs 33"),
        (
            {"training.perceptual": 1, "training.patch": 8},
            "weights of vgg19 are not on this machine",
        ),
        (
            {"search.strategy.search.perceptual": 1, "features.network": "squeezenet1_1"},
            "features.layers: unknown layer '54' of squeezenet1_1",
        ),
        ({"training.perceptual": 1, "training.patch": 7}, "training.patch: must be at least 8"),
        ({"training.pixel": 0}, "training.perceptual: must be greater than 0 where pixel is 0"),
        (
            {"search.space": "tpsr-generator"},
            "the strategy 'trilevel' needs a supernet of path, operations and widths",
        ),
        ({"published": "psnr-c"}, "published: unknown value 'psnr-c'; did you mean 'psnr-b'?"),
        (
            CANDIDATES | {"search.objective": '{use="metric", metric="ssim"}'},
            "search.objective: 'metric' needs 'ssim', which search.evaluator does not measure",
        ),
    ],
)
def test_bad_input_is_said_before_anything_is_trained(
    start: Start,
    out: Path,
    tmp_path: Path,
    photographs: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    changes: Mapping[str, object],
    message: str,
) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    places = {
        "train": photographs / "train",
        "valid": photographs / "valid",
        "cwd": tmp_path,
        "teacher": tmp_path / "teacher.safetensors",
        "broken": tmp_path / "broken",
    }
    if "{teacher}" in changes.values():
        teacher_file(tmp_path, scale=4)
    if "{broken}" in changes.values():
        shutil.copytree(photographs / "train", places["broken"])
        torn = places["broken"] / "train1.png"
        torn.write_bytes(torn.read_bytes()[:999])
    named = {f"{{{name}}}": place for name, place in places.items()}
    assert start({key: named.get(str(value), value) for key, value in changes.items()}) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: ")
    assert message.format(**places) in error
    assert not list(out.glob("models/*"))


@pytest.mark.parametrize("name", ["psnr-b", "visual-a"])
def test_preset_of_the_paper_asks_for_its_teacher(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    arguments = ["run", "trilevel", f"--preset={name}", "--set=features.network=random-features"]
    assert cli.main([*arguments, '--set=features.layers=["fire5"]', "--dry-run"]) == 2
    error = capsys.readouterr().err
    assert error.startswith(f"error: teacher.source: {tmp_path}/RRDB_")
    assert "name the teacher with --set teacher.source=FILE" in error


# Dry run


@pytest.mark.parametrize(
    ("changes", "stages"),
    [
        (
            {"start": "both"},
            {"search": 3000, "train": 500, "train-scratch": 500},
        ),
        (CANDIDATES, {"search": 6, "train": 500}),
        (DARTS, {"search": 5, "train": 500, "train-scratch": 500}),
        (
            {
                "start": "both",
                "search.evaluator": "taught-supernet",
                **CANDIDATES,
                "search.strategy": "evolution",
            },
            {"search": 6, "train": 500},
        ),
    ],
    ids=["trilevel", "random", "one-shot and untaught", "sampler and an idle teacher"],
)
def test_dry_run_estimates_every_stage_and_trains_nothing(
    out: Path,
    photographs: Path,
    capsys: pytest.CaptureFixture[str],
    changes: Mapping[str, object],
    stages: Mapping[str, int],
) -> None:
    longer = {"training.steps": 500}
    if "search.strategy" not in changes:
        longer |= {"search.strategy.pretrain.steps": 1000, "search.strategy.search.steps": 2000}
    assert cli.main([*tiny(out, photographs, {**changes, **longer}), "--dry-run"]) == 0
    _, *rows = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert {row[0]: int(row[1]) for row in rows[: len(stages)]} == stages
    assert all(float(row[2]) > 0 for row in rows[: len(stages)])
    assert rows[len(stages)][0] == "together"
    assert not out.exists()
