"""Stage two of the recipe tpsr: what it hands over, what it says to bad input, and resuming."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from attrs import evolve, frozen

from corenas import Run, Stop, choose, parts_of, structure
from corenas.errors import ConfigError, DataError
from corenas.options.toml import parse_assignment
from corenas.show.reporter import Quiet
from corenas.testing.installed import InstallPlugin
from corenas_sr.data.datasets import load_pairs
from corenas_sr.models.files import load_model, save_model
from corenas_sr.models.inference import upscale
from corenas_sr.results.evaluation import build_metrics, evaluate
from corenas_tpsr._presets import PRESETS
from corenas_tpsr.config import TpsrConfig
from corenas_tpsr.perceptual._comparison import Finished, report
from corenas_tpsr.perceptual.config import FULL_LAYERS
from corenas_tpsr.perceptual.full_task import contenders
from corenas_tpsr.perceptual.resolving import (
    describe_missing,
    describe_shared,
    replace_missing,
    resolve,
)
from corenas_tpsr.perceptual.stage import start_from

Command = Callable[..., Any]

INTERRUPT = """
import os
import signal

from corenas import hookimpl


@hookimpl
def corenas_event(run, event):
    lines = (run.folder / "journal.jsonl").read_bytes().count(b"\\n")
    if lines == int(os.environ.get("KILL_AT_LINE", "-1")):
        os.kill(os.getpid(), signal.SIGKILL)
    if lines == int(os.environ.get("INTERRUPT_AT_LINE", "-1")):
        os.kill(os.getpid(), signal.SIGINT)
"""


class Said(Quiet):
    """Keeps what is said."""

    text = ""

    def say(self, message: str) -> None:
        self.text += message + "\n"


@pytest.fixture
def no_weights(tmp_path: Path) -> dict[str, str]:
    """An environment without torchvision's cache, whatever this machine has."""
    return {"TORCH_HOME": str(tmp_path / "no-weights")}


def read_json(path: Path) -> dict[str, Any]:
    value: dict[str, Any] = json.loads(path.read_text())
    return value


def test_report_says_what_the_stage_was_optimised_for(improved: Path) -> None:
    perceptual = read_json(improved / "summary.json")["perceptual"]
    for features in perceptual["optimised_for"]["features"].values():
        assert features.startswith("random-features (random weights, they know nothing of images)")
        assert "vgg" not in features.lower()
    assert perceptual["optimised_for"]["metric"] == "random-features"
    losses = {"pixel": 0.1, "features": 1.0, "adversarial": 0.1}
    assert perceptual["optimised_for"]["losses"] == losses, "those of the preset quick"
    said = (improved / "said.txt").read_text()
    assert "the weights of vgg19 are not on this machine" in said
    assert "random-features stand in" in said


def test_every_discriminator_is_compared_on_all_benchmark_images(improved: Path) -> None:
    summary = read_json(improved / "summary.json")
    rows = {row["name"]: row for row in summary["perceptual"]["contenders"]}
    assert list(rows) == ["searched-1", "esrgan", "random"]
    pairs = [
        pair
        for source in summary["data"]["benchmarks"]
        for pair in load_pairs(source, scale=4, split="validation")
    ]
    assert len(pairs) == 4
    metrics = build_metrics([choose("metrics", name) for name in ("psnr", "random-features")])
    for row in rows.values():
        model = load_model(improved / row["file"])
        expected = evaluate(
            lambda p, m=model: upscale(m.module, p.lr, scale=4), pairs, metrics, scale=4
        )
        for name in metrics:
            assert row["test"][name] == pytest.approx(expected.mean[name])
        best = row["trainings"][row["best"]]
        assert best["loss"] != 0
        assert row["influence"] == best["influence"]
    assert rows["esrgan"]["params"] == 23_563_713 - 512 * 1024 * (36 - 4)
    winner = min(
        (values["random-features"], name)
        for row in rows.values()
        for name, values in row["trainings"].items()
    )[1]
    assert summary["perceptual"]["winner"] == winner
    assert f"best: {winner}" in (improved / "said.txt").read_text()


def test_improved_model_is_handed_over_beside_the_one_before(
    improved: Path, generator: Path
) -> None:
    summary = read_json(improved / "summary.json")
    before, *between, after = summary["models"]
    assert (before["name"], after["name"]) == ("x4", "x4-perceptual")
    shares = (0.1, 0.3, 0.5, 0.7, 0.9)
    assert [entry["name"] for entry in between] == [f"x4-perceptual-{each}" for each in shares]
    assert {"psnr", "ssim", "random-features"} == set(before["metrics"]) == set(after["metrics"])
    old, new = load_model(improved / before["file"]), load_model(improved / after["file"])
    assert old.module.state_dict().keys() == new.module.state_dict().keys()
    start = load_model(generator).module.state_dict()
    assert all(torch.equal(t, start[n]) for n, t in old.module.state_dict().items())
    assert not all(torch.equal(t, start[n]) for n, t in new.module.state_dict().items())
    beside = read_json((improved / after["file"]).with_suffix(".json"))
    assert beside["file"] == "tpsr-x4-perceptual.safetensors"
    ends = [load_model(improved / entry["file"]).module for entry in (before, after)]
    first, last = (module.state_dict() for module in ends)
    for share, entry in zip(shares, between, strict=True):
        mixed = load_model(improved / entry["file"])
        assert mixed.info["interpolated"]["share"] == share
        for name, tensor in mixed.module.state_dict().items():
            torch.testing.assert_close(tensor, (1 - share) * first[name] + share * last[name])
    pictures = ("comparison-x4-perceptual", "compare", "perceptual", "discriminator", "tradeoff")
    for picture in pictures:
        assert (improved / "images" / f"{picture}.png").stat().st_size > 1000
    assert (improved / "images" / "discriminator.svg").stat().st_size > 1000


@pytest.mark.slow
@pytest.mark.parametrize("act", ["INTERRUPT_AT_LINE", "KILL_AT_LINE"])
def test_run_that_ended_inside_an_adversarial_training_resumes_to_the_same_end(
    tmp_path: Path,
    command: Command,
    second: Callable[..., list[str]],
    improved: Path,
    generator: Path,
    install_plugin: InstallPlugin,
    no_weights: dict[str, str],
    act: str,
) -> None:
    """The first moment is between two stages, and the generator's file is gone after it."""
    install_plugin("moments", INTERRUPT)
    benchmarks = json.dumps(read_json(improved / "summary.json")["data"]["benchmarks"])
    out = tmp_path / "run"
    lines = (improved / "journal.jsonl").read_text().splitlines()
    inside = [n for n, line in enumerate(lines, 1) if '"compare"' in line and '"epoch"' in line]
    between = [
        n for n, line in enumerate(lines, 1) if json.loads(line).get("message") == "finished"
    ]
    taken = shutil.copy(generator, tmp_path / "taken.safetensors")
    arguments = second(out, {"data.benchmarks": benchmarks, "generator": taken})
    for line in (between[0], inside[0], inside[2]):
        done = command(*arguments, env={**no_weights, act: str(line)}, save_always=True)
        assert done.status in (130, -9)
        arguments = ["resume", str(out)]
        Path(taken).unlink(missing_ok=True)
    assert command(*arguments, env=no_weights).status == 0

    def contents(folder: Path) -> list[dict[str, Any]]:
        events = [json.loads(line) for line in (folder / "journal.jsonl").read_text().splitlines()]
        for event in events:
            del event["time"], event["check"]
            event.get("trial", {}).pop("seconds", None)
        return events

    assert contents(out) == contents(improved)
    models = sorted(improved.glob("models/**/*.safetensors"))
    assert len(models) == 10
    for model in models:
        assert (out / model.relative_to(improved)).read_bytes() == model.read_bytes()


@pytest.mark.slow
def test_generator_of_another_scale_is_called_by_its_own(
    tmp_path: Path,
    command: Command,
    second: Callable[..., list[str]],
    generator: Path,
    no_weights: dict[str, str],
) -> None:
    known = load_model(generator)
    space = evolve(known.space, config=evolve(known.space.config, scale=2))
    smaller = tmp_path / "smaller.safetensors"
    architecture = known.architecture
    module = space.build().build(architecture)
    save_model(smaller, module, space=space, architecture=architecture, scale=2)
    changes = {
        "generator": smaller,
        "discriminator.evaluator.training.patch": 16,
        "compare.training.patch": 16,
        "compare.count": 0,
        "compare.baselines": '["random"]',
        "compare.interpolate": "[]",
    }
    out = tmp_path / "run"
    done = command(*second(out, changes), env=no_weights)
    assert done.status == 0, done.err
    models = read_json(out / "summary.json")["models"]
    assert [(m["name"], m["scale"]) for m in models] == [("x2", 2), ("x2-perceptual", 2)]


def test_missing_weights_are_refused_before_the_start_with_the_choices(
    tmp_path: Path,
    command: Command,
    second: Callable[..., list[str]],
    no_weights: dict[str, str],
) -> None:
    out = tmp_path / "run"
    done = command(*second(out, {"perceptual.missing": "refuse"}), env=no_weights)
    assert done.status == 2
    for choice in (
        "the weights of vgg19 are not on this machine",
        "--set perceptual.download=true",
        "--set perceptual.network=squeezenet1_1 --set perceptual.weights=FILE",
        "--set perceptual.missing=st-lpips",
        "--set stages=generator",
    ):
        assert choice in done.err
    assert not list(out.glob("models/*"))


def test_dry_run_estimates_both_stages(
    tmp_path: Path,
    command: Command,
    second: Callable[..., list[str]],
    no_weights: dict[str, str],
) -> None:
    done = command(*second(tmp_path / "run", {}), "--dry-run", env=no_weights)
    assert done.status == 0, done.err
    rows = [line.split() for line in done.out.splitlines()]
    stages = {row[0]: row for row in rows if row and row[0] in ("discriminator", "compare")}
    assert stages["discriminator"][1] == "8"
    assert stages["compare"][1] == str(3 * 4)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"stages": "discriminator"}, "generator: goes with stages = discriminator"),
        ({"generator": "x4.safetensors"}, "generator: goes with stages = discriminator"),
        ({"compare": {"count": 0, "baselines": []}}, "compare.count: 0, and no baselines"),
        ({"compare": {"baselines": ["srgan", "srgan"]}}, "compare.baselines: name each once"),
        ({"compare": {"baselines": ["jagan"]}}, "compare.baselines: unknown value 'jagan'"),
    ],
)
def test_options_that_do_not_go_together_are_refused(
    values: Mapping[str, Any], message: str
) -> None:
    with pytest.raises(ConfigError, match=f"^{message}"):
        structure(TpsrConfig, values)


def test_patch_that_the_reductions_do_not_divide_is_refused(
    tmp_path: Path, command: Command, second: Callable[..., list[str]], no_weights: dict[str, str]
) -> None:
    done = command(*second(tmp_path / "run", {"compare.training.patch": 9}), env=no_weights)
    assert done.status == 2
    assert "patch" in done.err
    assert "36" in done.err


def test_options_of_the_losses_reach_both_tasks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("corenas_tpsr.perceptual.resolving.features_of", lambda config: None)
    config, missing = resolve(
        structure(TpsrConfig, {"perceptual": {"metric": "random-features", "losses": {"pixel": 3}}})
    )
    assert missing == {}
    evaluator = config.discriminator.evaluator.config
    assert evaluator.perceptual == config.perceptual
    assert parts_of(config.discriminator, config.data).objective.needs == ("random-features",)


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({"search": {"executor": "serial"}}, {"use": "serial"}),
        (
            {"search": {"executor": {"order": "submission", "time_limit": 60.0}}},
            {"use": "processes", "order": "submission"},
        ),
        (
            {"search": {"executor": "serial"}, "discriminator": {"executor": {"time_limit": 60.0}}},
            {"use": "processes", "time_limit": 60.0},
        ),
    ],
)
def test_both_searches_have_one_executor_unless_the_second_has_its_own(
    monkeypatch: pytest.MonkeyPatch, values: Mapping[str, Any], expected: Mapping[str, Any]
) -> None:
    monkeypatch.setattr("corenas_tpsr.perceptual.resolving.features_of", lambda config: None)
    known = {"perceptual": {"network": "random-features", "metric": "random-features"}}
    config, _ = resolve(structure(TpsrConfig, known, values))
    wanted = structure(TpsrConfig, {"search": {"executor": expected}}).search.executor
    assert config.discriminator.executor == wanted


def test_metric_alone_may_be_missing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    values = {"perceptual": {"network": "random-features", "missing": "random-features"}}
    config, missing = resolve(structure(TpsrConfig, values))
    assert list(missing) == ["perceptual.metric"]
    said = describe_missing(missing, structure(TpsrConfig, values)).splitlines()
    assert said[0].startswith("perceptual.metric: the weights of vgg16 are not on this")
    assert said[1].startswith("random-features stand in")
    assert config.perceptual.metric.name == "random-features"
    with pytest.raises(DataError, match="vgg16"):
        resolve(structure(TpsrConfig, {"perceptual": {"network": "random-features"}}))


def test_searchs_own_features_may_be_missing(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    known = {"network": "random-features", "metric": "random-features"}
    own = {"network": "squeezenet1_1", "metric": "random-features"}
    values = {"perceptual": known, "discriminator": {"evaluator": {"perceptual": own}}}
    with pytest.raises(DataError, match="the weights of squeezenet1_1 are not on this machine"):
        resolve(structure(TpsrConfig, values))
    may = {"discriminator": {"evaluator": {"perceptual": {"missing": "random-features"}}}}
    config, missing = resolve(structure(TpsrConfig, values, may))
    assert list(missing) == ["discriminator.evaluator.perceptual.network"]
    assert config.discriminator.evaluator.config.perceptual.network == "random-features"


def test_networks_that_are_installed_stand_in_and_do_not_judge_themselves(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    given = structure(TpsrConfig, {"perceptual": {"missing": "st-lpips", "losses": {"pixel": 3}}})
    config, missing = resolve(given)
    assert list(missing) == ["perceptual.network", "perceptual.metric"]
    perceptual = config.perceptual
    assert (perceptual.network, perceptual.metric.name) == ("st-alexnet", "st-lpips")
    assert perceptual.metric.config.net == "vgg"
    weights = perceptual.weights_of_losses
    assert (weights.pixel, weights.features) == (3, 400)
    assert describe_missing(missing, given).endswith(
        "networks of ST-LPIPS stand in: ST-LPIPS's AlexNet in the loss, ST-LPIPS's VGG16 in the "
        "metric"
    )
    assert describe_shared(config) == ""
    # A resumed run takes what stood in when it began.
    assert resolve(replace_missing(given, missing))[0].perceptual.network == "st-alexnet"


@pytest.mark.parametrize(
    ("given", "network", "net", "said"),
    [
        # What is there decides which of both stands in for the other.
        ({"metric": "st-lpips"}, "st-vgg16", "alex", "VGG16 in the loss"),
        ({"metric": {"use": "st-lpips", "net": "vgg"}}, "st-alexnet", "vgg", "AlexNet in the loss"),
        ({"network": "st-vgg16"}, "st-vgg16", "alex", "AlexNet in the metric"),
        ({"network": "st-alexnet"}, "st-alexnet", "vgg", "VGG16 in the metric"),
    ],
)
def test_a_stand_in_reads_another_network_than_what_is_there(
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    given: Mapping[str, Any],
    network: str,
    net: str,
    said: str,
) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    options = structure(TpsrConfig, {"perceptual": {"missing": "st-lpips", **given}})
    config, missing = resolve(options)
    assert (config.perceptual.network, config.perceptual.metric.config.net) == (network, net)
    assert describe_missing(missing, options).endswith(f"stand in: ST-LPIPS's {said}")
    assert describe_shared(config) == ""


def test_a_loss_that_judges_itself_is_remarked_on() -> None:
    known = {"network": "st-vgg16", "metric": {"use": "st-lpips", "net": "vgg"}}
    config, missing = resolve(structure(TpsrConfig, {"perceptual": known}))
    assert missing == {}
    assert "features of ST-LPIPS's VGG16, and so does the metric st-lpips" in describe_shared(
        config
    )


def test_a_weight_that_was_chosen_stays_as_large_with_another_network(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    known = {"network": "squeezenet1_1", "missing": "st-lpips", "losses": {"features": 0.04}}
    config, _ = resolve(structure(TpsrConfig, {"perceptual": known}))
    assert config.perceptual.network == "st-alexnet"
    assert config.perceptual.losses.features == pytest.approx(800)


def test_the_preset_quick_has_networks_that_are_installed(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    config, _ = resolve(structure(TpsrConfig, PRESETS["quick"]))
    assert (config.perceptual.network, config.perceptual.metric.name) == ("st-alexnet", "st-lpips")
    assert config.perceptual.metric.config.net == "vgg"


@pytest.mark.parametrize(
    ("preset", "alpha", "gamma", "patches", "counts"),
    [
        ("quick", 0.1, 0.1, 0, "mean"),
        ("standard", 0.1, 0.1, 0, "mean"),
        ("paper", 0.01, 0.005, None, "best"),
    ],
)
def test_presets_but_the_papers_give_discriminators_a_say_and_the_same_patches(
    preset: str, alpha: float, gamma: float, patches: int | None, counts: str
) -> None:
    config = structure(TpsrConfig, PRESETS[preset])
    losses = config.perceptual.weights_of_losses
    assert (losses.pixel, losses.adversarial) == (alpha, gamma)
    evaluator = config.discriminator.evaluator
    assert (evaluator.option("patches"), evaluator.option("counts")) == (patches, counts)


@pytest.mark.parametrize("option", ["weights", "metric"])
def test_nothing_stands_in_for_a_file_that_is_named(tmp_path: Path, option: str) -> None:
    file = tmp_path / "typo.pth"
    named = {"weights": str(file), "metric": {"use": "lpips", "weights": str(file)}}
    values = {
        "network": "squeezenet1_1" if option == "weights" else "random-features",
        "metric": "random-features",
        "missing": "random-features",
        option: named[option],
    }
    with pytest.raises(DataError, match=r"typo\.pth: No such file"):
        resolve(structure(TpsrConfig, {"perceptual": values}))


@pytest.mark.parametrize("where", ["compare", "discriminator.evaluator"])
def test_layers_that_the_stand_in_does_not_have_are_refused_before_the_start(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, where: str
) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    config = structure(
        TpsrConfig,
        {"perceptual": {"missing": "random-features"}},
        parse_assignment(f'{where}.layers=["44"]'),
    )
    with pytest.raises(ConfigError, match=f"^{where}.layers: unknown layer '44' of random-feat"):
        resolve(config)


def test_run_goes_on_with_the_features_that_it_began_with(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "none"))
    values = {"network": "squeezenet1_1", "metric": "random-features", "missing": "random-features"}
    config = structure(TpsrConfig, {"perceptual": values})
    began, missing = resolve(config)
    assert began.perceptual.network == "random-features"
    with pytest.raises(DataError, match="the weights of squeezenet1_1 are not on this machine"):
        resolve(replace_missing(config, {}))
    monkeypatch.setattr("corenas_tpsr.perceptual.resolving.features_of", lambda config: None)
    assert resolve(config)[0].perceptual.network == "squeezenet1_1"
    again, none_now = resolve(replace_missing(config, missing))
    assert none_now == {}
    assert again.perceptual == evolve(began.perceptual, missing="refuse")


@frozen
class StrangersConfig:
    generator: Path | None = None


def test_evaluator_of_a_stranger_is_told_the_generator(tmp_path: Path) -> None:
    config = structure(TpsrConfig, {})
    stranger = evolve(config.discriminator.evaluator, config=StrangersConfig())
    config = evolve(config, discriminator=evolve(config.discriminator, evaluator=stranger))
    told = start_from(config, tmp_path / "x4.safetensors").discriminator
    assert told.evaluator.config.generator == tmp_path / "x4.safetensors"
    assert told.space == config.discriminator.space


def test_report_takes_all_images_of_all_benchmarks_and_values_without_a_number(
    tmp_path: Path, photographs: Path, generator: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for drawing in ("draw_models", "dots_plot"):
        monkeypatch.setattr(f"corenas_tpsr.perceptual._comparison.{drawing}", lambda *_, **__: None)
    sources = [tmp_path / "one" / "HR", tmp_path / "two" / "HR"]
    for source, image in zip(sources, sorted((photographs / "valid").iterdir()), strict=True):
        source.mkdir(parents=True)
        shutil.copy(image, source / "same.png")
    random = {"network": "random-features", "metric": "random-features"}
    values = {"data": {"benchmarks": list(map(str, sources))}, "perceptual": random}
    config = structure(TpsrConfig, values, {"compare": {"baselines": ["random"]}})
    said = Said()
    run = Run(tmp_path / "run", seed=0, stop=Stop(), reporter=said)
    file = shutil.copy(generator, run.models / "x4.safetensors")
    scalars = {"psnr": None, "random-features": 0.25}  # equal images have a PSNR of null
    finished = [Finished("random-1", Path(file), scalars, -0.25)]
    against = contenders(config, [], scale=4, seed=0)
    (row,) = report(run, config, against, finished, generator=generator)
    run.close()
    assert row["trainings"] == {"random-1": scalars}
    model, metrics = load_model(generator), build_metrics(config.metrics)
    singly = [
        evaluate(lambda p: upscale(model.module, p.lr, scale=4), [pair], metrics, scale=4).mean
        for source in sources
        for pair in load_pairs(str(source), scale=4, split="validation")
    ]
    assert row["test"]["psnr"] == pytest.approx(sum(v["psnr"] for v in singly) / 2)
    assert "on 2 images of the benchmarks" in said.text
    assert row["influence"] is None
    assert "warning" not in said.text, "a training of an older version does not know"


@pytest.mark.parametrize(
    ("shares", "warned"),
    [((0.001, 0.021), False), ((0.001, 0.0157), True), ((0.001, None), False)],
)
def test_discriminators_without_a_say_are_warned_of(
    tmp_path: Path,
    photographs: Path,
    generator: Path,
    monkeypatch: pytest.MonkeyPatch,
    shares: tuple[float | None, ...],
    warned: bool,
) -> None:
    for drawing in ("draw_models", "dots_plot"):
        monkeypatch.setattr(f"corenas_tpsr.perceptual._comparison.{drawing}", lambda *_, **__: None)
    values = {
        "data": {"validation": str(photographs / "valid")},
        "perceptual": {"network": "random-features", "metric": "random-features"},
        "compare": {"baselines": ["random"], "count": 1},
    }
    config = structure(TpsrConfig, values)
    said = Said()
    run = Run(tmp_path / "run", seed=0, stop=Stop(), reporter=said)
    file = Path(shutil.copy(generator, run.models / "x4.safetensors"))
    found = [config.discriminator.space.build().parse([["identity", "reduce-conv1"]] * 5)]
    against = contenders(config, found, scale=4, seed=0)
    finished = [
        Finished(f"{each.name}-1", file, {"random-features": 0.25, "influence": share}, -0.25)
        for each, share in zip(against, shares, strict=True)
    ]
    rows = report(run, config, against, finished, generator=generator)
    run.close()
    assert [row["influence"] for row in rows] == list(shares)
    lines = said.text.splitlines()
    (head,) = (line.split() for line in lines if line.startswith("discriminator"))
    (first,) = (line.split() for line in lines if line.startswith("searched-1"))
    # Costs have a unit each, after a space.
    assert first[head.index("influence") + 2 :][:2] == ["0.1", "%"]
    assert ("no discriminator had more than 1.6 % of the generator's" in said.text) == warned
    assert ("warning" in said.text) == warned


def test_contenders_are_the_best_found_and_known_ones() -> None:
    config = structure(TpsrConfig, {"compare": {"count": 2, "training": {"patch": 24}}})
    space = config.discriminator.space.build()
    found = [space.parse([[op, "reduce-conv1"]] * 5) for op in ("identity", "se", "ca")]
    made = contenders(config, found, scale=4, seed=1)
    assert [each.name for each in made] == ["searched-1", "searched-2", "srgan", "esrgan", "random"]
    assert [each.architecture for each in made[:2]] == found[:2]
    assert [each.cost.params for each in made[2:4]] == [23_563_713] * 2
    assert (made[2].loss.needs_real, made[3].loss.needs_real) == (False, True)
    again = contenders(config, found, scale=4, seed=1)[-1]
    assert again.architecture == made[-1].architecture
    assert FULL_LAYERS["vgg19"] == ("54",)
