"""Presets of the recipe trilevel: they are configurations, and have the paper's values."""

from __future__ import annotations

from pathlib import Path

import pytest

from corenas import default_registry, structure
from corenas.options.structuring import differences
from corenas_trilevel._presets import PRESETS
from corenas_trilevel.config import TrilevelConfig
from corenas_trilevel.space.published import RESULTS


@pytest.mark.parametrize("name", PRESETS)
def test_preset_is_a_configuration(name: str) -> None:
    config = structure(TrilevelConfig, PRESETS[name])
    space = config.search.space.build()
    fixed = config.taught_search.strategy.config.architecture.fixed_path
    assert fixed is None or fixed in space.candidates
    assert (config.teacher.source == "ground-truth") == (name == "quick")
    assert (config.published is None) == (name == "quick")


def test_strategy_has_the_recipes_teacher_and_features_where_it_has_none_of_its_own() -> None:
    own = {"teacher": {"source": "/own.pth"}, "features": {"layers": ["22"]}}
    for changes, expected in (({}, ("/all.pth", "44")), (own, ("/own.pth", "22"))):
        config = structure(
            TrilevelConfig,
            {"teacher": {"source": "/all.pth"}, "features": {"layers": ["44"]}},
            {"search": {"strategy": changes}},
        )
        strategy = config.taught_search.strategy.config
        assert (strategy.teacher.source, *strategy.features.layers) == expected
        assert strategy.features.distance == "l1"


def test_quick_is_the_default() -> None:
    assert next(iter(default_registry().recipe("trilevel").presets)) == "quick"


@pytest.mark.parametrize(
    ("name", "backbone", "teacher"),
    [
        ("psnr-b", "trilevel-b", "RRDB_PSNR_x4.pth"),
        ("psnr-a", "trilevel-a", "RRDB_PSNR_x4.pth"),
        ("visual-b", "trilevel-b", "RRDB_ESRGAN_x4.pth"),
        ("visual-a", "trilevel-a", "RRDB_ESRGAN_x4.pth"),
    ],
)
def test_presets_of_the_paper_have_its_values(name: str, backbone: str, teacher: str) -> None:
    config = structure(TrilevelConfig, PRESETS[name])
    assert config.search.space.name == backbone
    assert Path(config.teacher.source).name == teacher
    space = config.search.space.config
    assert (space.cells, space.searched_cells, space.ups, space.features) == (5, 4, 2, 64)
    assert (space.widths, space.scale) == ((24, 32, 40, 56, 64), 4)
    strategy = config.taught_search.strategy.config
    for phase in (strategy.pretrain, strategy.search):
        assert phase.steps == 100 * 575 == 100 * (3450 // 2) // 3
        assert (phase.batch, phase.patch, phase.learning_rate) == (3, 32, 1e-4)
        assert phase.milestones == (0.25, 0.5, 0.75)
    visual = name.startswith("visual")
    assert (strategy.pretrain.pixel, strategy.pretrain.perceptual) == (1, 0)
    losses = (strategy.search.pixel, strategy.search.perceptual)
    assert losses == ((1e-2, 1) if visual else (1, 0))
    assert strategy.order.weight == (0.1 if visual else 1e-5)
    assert (strategy.sandwich, strategy.clip, strategy.alternate) == (True, 5, "weights-first")
    adam = strategy.architecture
    assert (adam.learning_rate, adam.betas, adam.temperature) == (3e-4, (0.5, 0.999), 1)
    assert (adam.path, adam.operations, adam.widths) == ("sparsestmax", "sparsestmax", "gumbel")
    assert (strategy.cost.omega1, strategy.cost.omega2) == (2 / 7, 5 / 7)
    assert (config.features.network, config.features.layers) == ("vgg19", ("54",))
    assert config.features.distance == "l1"
    assert (config.finetune is not None) == visual
    assert config.start == "search"


def epochs(steps: int) -> float:
    """Return how often a training of batches of 16 sees each of the paper's 3450 images."""
    return steps * 16 / 3450


@pytest.mark.parametrize(
    ("preset", "option", "length", "milestones"),
    [
        ("psnr-b", "training", 900, [225, 450, 675]),
        ("visual-a", "training", 900, [225, 450, 675]),
        ("visual-a", "finetune", 1800, [225, 450, 900, 1350]),
    ],
)
def test_trainings_of_the_paper_last_its_epochs(
    preset: str, option: str, length: int, milestones: list[int]
) -> None:
    training = structure(TrilevelConfig, PRESETS[preset]).trainings[option]
    assert (training.batch, training.patch, training.learning_rate) == (16, 32, 1e-4)
    assert (training.schedule, training.gamma) == ("multistep", 0.5)
    assert epochs(training.steps) == pytest.approx(length, abs=0.005)
    assert [epochs(step) for step in training.milestones] == pytest.approx(milestones, abs=0.005)
    expected = (1e-2, 1) if option == "finetune" else (1, 0)
    assert (training.pixel, training.perceptual) == expected


def test_ablations_change_one_thing_of_the_visual_search() -> None:
    base = structure(TrilevelConfig, PRESETS["visual-a"])
    changes = {
        "ablation-softmax": {
            'search.strategy.architecture.path: "sparsestmax" -> "softmax"',
            'search.strategy.architecture.operations: "sparsestmax" -> "softmax"',
        },
        "ablation-order-0": {"search.strategy.order.weight: 0.1 -> 0.0"},
        "ablation-order-0.01": {"search.strategy.order.weight: 0.1 -> 0.01"},
        "ablation-order-0.1": set(),
        "ablation-bilevel": {'search.strategy.architecture.fixed_path: unset -> "0000011"'},
    }
    for name, expected in changes.items():
        changed = set(differences(base, structure(TrilevelConfig, PRESETS[name])))
        assert {line for line in changed if not line.startswith("published")} == expected
    scratch = differences(
        structure(TrilevelConfig, PRESETS["psnr-b"]),
        structure(TrilevelConfig, PRESETS["ablation-scratch"]),
    )
    assert scratch == ['start: "search" -> "both"']


def test_published_rows_are_the_papers() -> None:
    rows = {n: (r.path, r.params, r.gflops, r.set5, r.set14) for n, r in RESULTS.items()}
    assert rows == {
        "psnr-b": ("000001", 0.51, 33.3, 31.62, 28.26),
        "visual-a": ("000101", 0.34, 117.39, 30.34, 27.29),
        "softmax": ("00101", 0.47, 154.80, 30.34, 27.28),
        "order-0": ("0010001", 0.58, 184.08, 30.32, 27.21),
        "order-0.01": ("001001", 0.52, 169.69, 30.34, 27.20),
        "order-0.1": ("000101", 0.34, 117.39, 30.34, 27.29),
        "bilevel": ("0000011", 0.52, 115.39, 30.32, 27.22),
    }
