"""The evaluator by which any one-shot strategy's supernet learns from a teacher."""

import pytest
import torch
from attrs import evolve

from corenas import DataError, choose, structure
from corenas.testing.surrogate import surrogate_problem
from corenas_sr.config import CandidateConfig, DataConfig
from corenas_sr.data.datasets import load_pairs
from corenas_sr.data.images import write_image
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


def test_a_search_learns_from_the_teacher(data, negatives):
    phase = {"steps": 1, "report_every": 1}
    strategy = choose("strategies", "gumbel")
    config = structure(type(strategy.config), {"warmup": phase, "search": phase})
    strategy = evolve(strategy, config=config).build()
    losses = []
    for source in ("ground-truth", negatives):
        evaluator = taught(data, source)
        problem = evolve(surrogate_problem(1), space=SPACE, evaluator=evaluator)
        strategy.check(problem)
        losses.append([event.scalars["loss"] for event in strategy.search(problem).events()])
    assert losses[0] != losses[1]


def test_a_teacher_that_is_not_there_is_refused(data, tmp_path):
    with pytest.raises(DataError, match=r"^search\.evaluator\.teacher\.source: .*no such file"):
        taught(data, tmp_path / "nobody.pth").check()


def test_the_recipe_fills_its_teacher_in(tmp_path):
    teacher = {"source": str(tmp_path / "teacher.pth")}
    search = {"strategy": "darts", "evaluator": "taught-supernet"}
    config = structure(TrilevelConfig, {"teacher": teacher, "search": search})
    assert config.taught_search.evaluator.option("teacher") == config.teacher
    assert config.trains_supernet
    untaught = structure(TrilevelConfig, {"teacher": teacher, "search": {"strategy": "darts"}})
    assert not untaught.trains_supernet
