"""The recipe tpsr from the command line: what it hands over, and what it says to bad input."""

from __future__ import annotations

import fcntl
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from corenas.errors import ConfigError, DataError
from corenas.options.structuring import structure
from corenas_sr.data.images import write_image
from corenas_sr.models.files import load_model
from corenas_tpsr._checks import check_searches, full_patches
from corenas_tpsr.config import TpsrConfig
from corenas_tpsr.generator.weight_cache import read_weights

Command = Callable[..., Any]
TinyRun = Callable[..., list[str]]


def read_json(path: Path) -> dict[str, Any]:
    value: dict[str, Any] = json.loads(path.read_text())
    return value


def files_of(folder: Path) -> dict[str, bytes]:
    """Return the content of every file but the journal's lock."""
    files = (f for f in folder.rglob("*") if f.is_file() and f.name != ".lock")
    return {str(f.relative_to(folder)): f.read_bytes() for f in files}


def test_finished_run_hands_over_two_models_measured_beside_bicubic(
    finished: Path, photographs: Path
) -> None:
    summary = read_json(finished / "summary.json")
    assert (summary["recipe"], summary["finished"], summary["stopped"]) == ("tpsr", True, "")
    assert list(summary["seconds"]) == ["search", "fresh", "train-x2", "train-x4"]
    assert all(seconds > 0 for seconds in summary["seconds"].values())
    assert summary["data"] == {
        "train": str(photographs / "train"),
        "validation": str(photographs / "valid"),
        "benchmarks": [],
    }
    assert list(summary["protocol"]) == ["psnr", "ssim"]
    for model, scale in zip(summary["models"], (2, 4), strict=True):
        assert model["scale"] == scale
        assert model["input"] == [1280 // scale, 720 // scale]
        assert set(model["metrics"]) == set(model["bicubic"]) == {"psnr", "ssim"}
        loaded = load_model(finished / model["file"])
        assert (loaded.scale, loaded.architecture.id) == (scale, summary["architecture"]["id"])
        space = loaded.space.build()
        width, height = model["input"]
        cost = space.cost(loaded.architecture, height=height, width=width)
        assert (model["params"], model["mult_adds"]) == (cost.params, cost.mult_adds)
        assert (finished / "images" / f"comparison-x{scale}.png").stat().st_size > 0
    assert (finished / "images" / "search.png").stat().st_size > 0


def test_scores_of_the_search_and_from_scratch_stand_side_by_side(finished: Path) -> None:
    search = read_json(finished / "summary.json")["search"]
    assert search["trials"] == 4
    assert len(search["warm"]) == len(search["fresh"]) == 1
    assert search["warm"].keys() == search["fresh"].keys()
    assert search["warm"] != search["fresh"]


def test_status_tells_stage_trials_and_best(command: Command, finished: Path) -> None:
    status = json.loads(command("status", finished, "--json").out)
    assert (status["recipe"], status["stage"], status["finished"]) == ("tpsr", "train-x4", True)
    assert status["trials"] == 5
    trials = [stage["best"]["score"] for stage in status["stages"] if stage["best"]]
    assert status["best"]["score"] == max(trials)
    assert status["best"]["metrics"].keys() >= {"psnr", "mult_adds", "params"}


@pytest.mark.slow
@pytest.mark.parametrize("pick", ["fresh", "warm"])
def test_winner_is_the_best_by_the_score_that_was_chosen(
    tmp_path: Path, command: Command, tiny: TinyRun, pick: str
) -> None:
    changes = {"fresh.count": 3, "fresh.pick": pick, "x2.steps": 2, "x4.steps": 2}
    done = command(*tiny(tmp_path / "run", changes))
    assert done.status == 0, done.err
    summary = read_json(tmp_path / "run" / "summary.json")
    scores = summary["search"][pick]
    assert len(scores) == 3
    assert summary["architecture"]["id"] == max(scores, key=scores.__getitem__)
    assert done.out.count("from scratch") == 3
    assert "rank correlation" not in done.out, "of three pairs it says nothing"


def test_same_folder_again_does_nothing_and_keeps_everything(
    command: Command, tiny: TinyRun, finished: Path
) -> None:
    before = files_of(finished)
    for arguments in (tiny(finished, {}), ["resume", str(finished)]):
        done = command(*arguments)
        assert done.status == 0, done.err
        assert done.out == (
            f"{finished}: this run is finished; there is nothing left to do\nfinished: {finished}\n"
        )
        assert files_of(finished) == before


def test_another_configuration_in_the_same_folder_is_refused_with_the_difference(
    command: Command, tiny: TinyRun, finished: Path
) -> None:
    done = command(*tiny(finished, {"search.steps": 9}), "--seed=3")
    assert done.status == 2
    assert "search.steps: 4 -> 9" in done.err
    assert "seed: 0 -> 3" in done.err


def test_another_process_on_the_same_folder_is_refused(
    command: Command, tiny: TinyRun, finished: Path
) -> None:
    with (finished / ".lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        for arguments in (tiny(finished, {}), ["resume", str(finished)]):
            done = command(*arguments)
            assert (done.status, done.err) == (
                2,
                f"error: {finished}: another process is working on this run\n",
            )


def test_truncated_photograph_is_named_and_the_folder_is_free_for_the_next_try(
    tmp_path: Path, command: Command, tiny: TinyRun, photographs: Path
) -> None:
    broken = tmp_path / "broken"
    broken.mkdir()
    for file in (photographs / "train").iterdir():
        content = file.read_bytes()
        (broken / file.name).write_bytes(content[: len(content) // 2])
    out = tmp_path / "run"
    done = command(*tiny(out, {"data.train": broken}))
    assert done.status == 2
    assert done.err.startswith(f"error: {broken}: 3 files cannot be used:\n")
    assert f"{broken / 'train1.png'}: damaged image" in done.err
    assert not list(out.glob("models/*"))
    # Nothing was begun there, so even other options are welcome.
    done = command(*tiny(out, {"search.steps": 1, "fresh.count": 0}))
    assert done.status == 0, done.err
    assert read_json(out / "summary.json")["search"]["trials"] == 1


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"data.train": "absent"}, "absent: No such file or directory"),
        ({"data.validation": "{train}"}, "{train} (validation): 3 files cannot be used:"),
        ({"x2.patch": 64}, "train0: 36x32 LR pixels; a patch needs 64"),
        ({"search.evaluator.training.patch": 33}, "36x32 LR pixels; a patch needs 33"),
        ({"search.space.scale": 4}, "search.space.scale: must be 2"),
        ({"search.stepz": 4}, "search: unknown key 'stepz'; did you mean 'steps'?"),
        ({"search.evaluator.mult_adds_limit": -1}, "mult_adds_limit: must be greater than 0"),
    ],
)
def test_bad_input_is_said_before_anything_is_trained(
    tmp_path: Path,
    command: Command,
    tiny: TinyRun,
    photographs: Path,
    changes: dict[str, Any],
    message: str,
) -> None:
    train = str(photographs / "train")
    given = {key: train if value == "{train}" else value for key, value in changes.items()}
    done = command(*tiny(tmp_path / "run", given))
    assert done.status == 2
    assert done.err.startswith("error: ")
    assert message.replace("{train}", train) in done.err
    assert not list(tmp_path.glob("run/models/*"))


def test_limit_that_leaves_nothing_ends_the_search_with_the_reason(
    tmp_path: Path, command: Command, tiny: TinyRun
) -> None:
    changes = {"search.evaluator.mult_adds_limit": 1e6, "search.rejections": 20}
    done = command(*tiny(tmp_path / "run", changes))
    assert done.status == 1
    assert done.err.startswith("error: 20 candidates in a row were rejected, the last one because")
    assert "the limit is 1.00 M" in done.err


def test_dry_run_estimates_every_stage_and_trains_nothing(
    tmp_path: Path, command: Command, tiny: TinyRun
) -> None:
    done = command(*tiny(tmp_path / "run", {"search.steps": 20_000}), "--dry-run", "--workers=2")
    assert done.status == 0, done.err
    head, *rows = [line.split() for line in done.out.splitlines()]
    assert head[-5:] == ["memory", "each", "in", "all", "hours"]
    stages = {row[0]: row for row in rows[:4]}
    assert list(stages) == ["search", "fresh", "train-x2", "train-x4"]
    assert stages["search"][1] == "80000"
    for stage, steps, per_step, workers, memory, unit, in_all, _, hours, *_ in stages.values():
        assert (int(memory) > 50, unit) == (True, "MiB")
        assert int(in_all) == pytest.approx(int(workers) * int(memory), abs=int(workers))
        expected = int(steps) * float(per_step) / int(workers) / 3600
        if stage == "search":  # so many candidates that measuring them takes its time, too
            assert float(hours) >= expected - 0.006
        else:
            assert float(hours) == pytest.approx(expected, abs=0.006)
    assert float(stages["search"][8]) > 0
    assert rows[4][0] == "together"
    assert not (tmp_path / "run").exists()
    assert not (tmp_path / "runs").exists()


SUPERNET = {
    "search.strategy": "sparsestmax",
    "search.strategy.warmup.steps": 1,
    "search.strategy.search.steps": 2,
    "search.space.nodes": 3,
}


def test_dry_run_with_a_supernet_trains_nothing_from_scratch(
    tmp_path: Path, command: Command, tiny: TinyRun
) -> None:
    done = command(*tiny(tmp_path / "run", SUPERNET), "--dry-run")
    assert done.status == 0, done.err
    _, *rows = [line.split()[0] for line in done.out.splitlines()]
    assert rows[:4] == ["search", "train-x2", "train-x4", "together"]


def test_network_of_a_supernet_beyond_the_limit_is_not_trained(
    tmp_path: Path, command: Command, tiny: TinyRun
) -> None:
    limit = {"search.evaluator.mult_adds_limit": 1e6}
    done = command(*tiny(tmp_path / "run", {**SUPERNET, **limit}))
    assert done.status == 1
    assert "search: the network found is refused: " in done.err
    assert "mult-adds, the limit is 1.00 M; " in done.err
    assert not (tmp_path / "run" / "models" / "tpsr-x2.safetensors").exists()


@pytest.mark.slow
def test_grey_and_flat_validation_images_do_not_end_a_run(
    tmp_path: Path, command: Command, tiny: TinyRun
) -> None:
    """Bicubic restores them without error, and JSON has no infinity."""
    flat = tmp_path / "flat"
    for number in range(2):
        write_image(flat / f"{number}.png", torch.full((3, 64, 64), 90 * number + 1).byte())
    changes = {"data.validation": flat, "search.steps": 1, "fresh.count": 0}
    done = command(*tiny(tmp_path / "run", changes))
    assert done.status == 0, done.err
    for model in read_json(tmp_path / "run" / "summary.json")["models"]:
        assert model["bicubic"]["psnr"] is None
        assert model["metrics"]["psnr"] > 0
    assert "(-)" in done.out


def test_images_must_hold_the_largest_patch_of_their_scale() -> None:
    config = structure(
        TpsrConfig,
        {"stages": "generator", "x2": {"patch": 20}, "x4": {"patch": 10}},
    )
    assert full_patches(config) == {2: 20, 4: 10}
    assert full_patches(structure(TpsrConfig, {"compare": {"training": {"patch": 56}}}))[4] == 56


def test_images_must_hold_the_patch_of_the_search(photographs: Path) -> None:
    data = {"train": str(photographs / "train"), "validation": str(photographs / "valid")}
    small = {"data": data, "stages": "generator", "search": {"evaluator": {"crops": 1}}}
    training = {"search": {"evaluator": {"training": {"patch": 32}}}}
    check_searches(structure(TpsrConfig, small, training))
    training["search"]["evaluator"]["training"]["patch"] = 33
    with pytest.raises(DataError, match="a patch needs 33"):
        check_searches(structure(TpsrConfig, small, training))


def test_space_of_other_networks_than_super_resolution_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"^search\.space: 'tpsr-discriminator' has no option"):
        structure(TpsrConfig, {"search": {"space": "tpsr-discriminator"}})


def test_search_at_another_scale_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"^search\.space\.scale: must be 2"):
        structure(TpsrConfig, {"search": {"space": {"scale": 4}}})


@pytest.mark.slow
def test_full_training_starts_from_the_weights_that_the_search_cached(
    tmp_path: Path, command: Command, tiny: TinyRun
) -> None:
    still = {f"{x}.{option}": value for x in ("x2", "x4") for option, value in STILL.items()}
    done = command(*tiny(tmp_path / "run", {"fresh.count": 2, **still}))
    assert done.status == 0, done.err
    models = tmp_path / "run" / "models"
    trained = load_model(models / "tpsr-x2.safetensors")
    weights, architecture = trained.module.state_dict(), trained.architecture
    searched = read_weights(models / "search" / "weight-cache.safetensors", architecture)
    assert searched.keys() == weights.keys()
    assert all(torch.allclose(weights[n], t, atol=1e-9) for n, t in searched.items())
    fresh = read_weights(models / "fresh" / "weight-cache.safetensors", architecture)
    assert not all(torch.allclose(weights[n], t, atol=1e-3) for n, t in fresh.items())


STILL = {"steps": 1, "learning_rate": 1e-12}
"""A training that leaves the weights as they are."""


@pytest.mark.slow
def test_full_training_starts_from_the_weights_that_a_supernet_trained(
    tmp_path: Path, command: Command, tiny: TinyRun
) -> None:
    still = {f"{x}.{option}": value for x in ("x2", "x4") for option, value in STILL.items()}
    done = command(*tiny(tmp_path / "run", {**SUPERNET, **still}))
    assert done.status == 0, done.err
    models = tmp_path / "run" / "models"
    trained = load_model(models / "tpsr-x2.safetensors")
    searched = load_model(models / "search" / "tpsr-generator-inherited.safetensors")
    assert trained.architecture == searched.architecture
    weights = trained.module.state_dict()
    for name, tensor in searched.module.state_dict().items():
        torch.testing.assert_close(weights[name], tensor, atol=1e-9, rtol=0)
    assert read_json(tmp_path / "run" / "summary.json")["search"]["fresh"] == {}
