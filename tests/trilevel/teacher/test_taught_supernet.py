"""The evaluator by which any one-shot strategy's supernet learns from a teacher."""

import pytest
import torch
from attrs import evolve

from corenas import DataError, choose, structure
from corenas.testing.contracts._space import random_architectures
from corenas.testing.surrogate import surrogate_problem
from corenas_sr.config import CandidateConfig, DataConfig
from corenas_sr.data.datasets import load_pairs
from corenas_sr.data.images import write_image
from corenas_sr.models.files import save_model
from corenas_sr.training.short_training import ShortTraining
from corenas_trilevel.config import TrilevelConfig
from corenas_trilevel.space.config import TrilevelBConfig
from corenas_trilevel.space.space import TrilevelSpace
from corenas_trilevel.teacher.config import TaughtSupernetConfig
from corenas_trilevel.teacher.evaluator import TaughtSupernet

TINY = {"cells": 2, "searched_cells": 1, "widths": (2, 4), "features": 4, "scale": 2}
SPACE = TrilevelSpace(TrilevelBConfig(**TINY, ups=0))
OPTIONS = {"training": {"steps": 2, "batch": 2, "patch": 6}, "crops": 1, "crop_size": 16}


@pytest.fixture
def data(photographs):
    return DataConfig(train=str(photographs / "train"), validation=str(photographs / "valid"))


@pytest.fixture
def negatives(data, tmp_path):
    """A folder with the negatives of the training images."""
    for pair in load_pairs(data.train, scale=2, split="train"):
        write_image(tmp_path / "teacher" / f"{pair.name}.png", 255 - pair.hr)
    return tmp_path / "teacher"


def taught(data, source):
    config = structure(TaughtSupernetConfig, OPTIONS, {"teacher": {"source": str(source)}})
    return TaughtSupernet(config, SPACE, data)


@pytest.mark.parametrize("part", ["weights", "architecture"])
def test_both_halves_have_the_teachers_images(data, negatives, part):
    plain = ShortTraining(structure(CandidateConfig, OPTIONS), SPACE, data)
    batches = [
        each.supervision().stream(part, split=1, seed=2, device="cpu").next_batch()
        for each in (plain, taught(data, negatives))
    ]
    (low, high), (taught_low, taught_high) = batches
    assert torch.equal(low, taught_low)
    assert torch.equal(255 - high, taught_high)


def quick_gumbel():
    phase = {"steps": 1, "report_every": 1}
    strategy = choose("strategies", "gumbel")
    config = structure(type(strategy.config), {"warmup": phase, "search": phase})
    return evolve(strategy, config=config).build()


def test_a_search_learns_from_the_teacher(data, negatives):
    strategy = quick_gumbel()
    losses = []
    for source in ("ground-truth", negatives):
        evaluator = taught(data, source)
        problem = evolve(surrogate_problem(1), space=SPACE, evaluator=evaluator)
        strategy.check(problem)
        losses.append([event.scalars["loss"] for event in strategy.search(problem).events()])
    assert losses[0] != losses[1]


def test_checks_and_estimates_make_no_teachers_image(data, tmp_path, monkeypatch):
    chosen = choose("search_spaces", "trilevel-b")
    chosen = evolve(chosen, config=SPACE.config)
    (architecture,) = random_architectures(SPACE, 1)
    file = tmp_path / "teacher.safetensors"
    network = SPACE.build(architecture)
    save_model(file, network, space=chosen, architecture=architecture, scale=2)

    def forward(self, x):
        raise AssertionError("the teacher makes an image")

    monkeypatch.setattr(type(network), "forward", forward)
    evaluator = taught(data, file)
    problem = evolve(surrogate_problem(1), space=SPACE, evaluator=evaluator)
    strategy = quick_gumbel()
    strategy.check(problem)
    assert strategy.plan(problem).steps == 2
    with pytest.raises(AssertionError, match="the teacher makes an image"):
        list(strategy.search(problem).events())


def test_a_teacher_that_is_not_there_is_refused(data, tmp_path):
    with pytest.raises(DataError, match=r"^search\.evaluator\.teacher\.source: .*no such file"):
        taught(data, tmp_path / "nobody.pth").check()


def test_the_recipe_fills_its_teacher_in(tmp_path):
    teacher = {"source": str(tmp_path / "teacher.pth")}
    search = {"strategy": "darts", "evaluator": "taught-supernet"}
    config = structure(TrilevelConfig, {"teacher": teacher, "search": search})
    assert config.taught_search.evaluator.option("teacher") == config.teacher
    assert config.taught_search.strategy.option("teacher") is None


@pytest.mark.parametrize(
    ("strategy", "evaluator", "one_shot", "taught"),
    [
        ("trilevel", "sr-training", True, True),
        ("darts", "taught-supernet", True, True),
        ("darts", "sr-training", True, False),
        ("evolution", "taught-supernet", False, False),
    ],
)
def test_the_recipe_knows_whether_a_supernet_is_trained_and_taught(
    strategy, evaluator, one_shot, taught
):
    search = {"strategy": strategy, "evaluator": evaluator}
    config = structure(TrilevelConfig, {"search": search})
    assert (config.is_one_shot, config.teaches_supernet) == (one_shot, taught)
