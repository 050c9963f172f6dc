"""The strategy: two phases as one task, whatever interrupts it, and what it hands over."""

import json
import math

import pytest
import torch
from attrs import evolve

from corenas import (
    Architecture,
    ConfigError,
    DataError,
    Diverged,
    Run,
    SearchResult,
    Stop,
    structure,
)
from corenas.cost import count
from corenas.runs import run as run_module
from corenas.show.reporter import Quiet
from corenas.supernets.supervision import halves
from corenas.testing.contracts import StrategyContract
from corenas.testing.surrogate import surrogate_problem
from corenas_oneshot.search import search as search_module
from corenas_sr.config import DataConfig
from corenas_sr.data.datasets import ImagePair, load_pairs
from corenas_sr.models.files import load_model
from corenas_sr.models.inference import upscale
from corenas_sr.training import supervision as supervision_module
from corenas_trilevel.search import strategy as strategy_module
from corenas_trilevel.search.config import TrilevelStrategyConfig
from corenas_trilevel.search.strategy import TrilevelStrategy
from corenas_trilevel.space.config import TrilevelBConfig
from corenas_trilevel.space.space import TrilevelSpace

TINY = {"cells": 2, "searched_cells": 1, "widths": (2, 4), "features": 4, "scale": 2}
SPACE = TrilevelSpace(TrilevelBConfig(**TINY, ups=0))


@pytest.fixture(scope="module")
def problem(photographs):
    data = DataConfig(train=str(photographs / "train"))
    return evolve(surrogate_problem(1), space=SPACE, data=data, seed=3)


def strategy(**changes):
    phase = {"batch": 1, "patch": 6, "report_every": 1}
    tiny = {
        "pretrain": {"steps": 2, **phase},
        "search": {"steps": 2, **phase, "learning_rate": 1e-2},
        "architecture": {"learning_rate": 0.1},
        "sandwich": False,
    }
    return TrilevelStrategy(structure(TrilevelStrategyConfig, tiny, changes))


@pytest.mark.slow
class TestTrilevelStrategy(StrategyContract):
    @pytest.fixture(autouse=True)
    def _keep_problem(self, problem):
        self.given = problem

    @pytest.fixture
    def strategy(self):
        return strategy()

    def problem(self, seed):
        return evolve(self.given, seed=seed)


class Killed(BaseException):
    """Stands for a kill: nothing catches it."""


def carry_out(folder, problem, *, killed_after=None):
    """Search in a run, up to so many events; return its result."""
    seen = []

    def observe(run, event):
        seen.append(event)
        if len(seen) == killed_after:
            raise Killed

    run = Run(folder, seed=0, stop=Stop(), reporter=Quiet(), observe=observe)
    try:
        return run.stage("search", strategy().search(problem))
    finally:
        run.close()


def journal(folder):
    lines = map(json.loads, (folder / "journal.jsonl").read_text().splitlines())
    return [{k: v for k, v in line.items() if k not in ("time", "check")} for line in lines]


@pytest.fixture(scope="module")
def whole(problem, tmp_path_factory):
    """The folder of a run that nothing disturbed, and its result."""
    folder = tmp_path_factory.mktemp("whole")
    return folder, carry_out(folder, problem)


@pytest.mark.parametrize("event", [2, 3, 4], ids=["in pretraining", "at its end", "in the search"])
def test_killed_search_resumes_to_the_same_journal_and_network(
    problem, whole, tmp_path, monkeypatch, event
):
    monkeypatch.setattr(run_module, "CHECKPOINT_SECONDS", 0.0)
    monkeypatch.setattr(run_module, "CHECKPOINT_SHARE", float("inf"))
    folder, expected = whole
    with pytest.raises(Killed):
        carry_out(tmp_path, problem, killed_after=event + 1)
    assert carry_out(tmp_path, problem) == expected
    assert journal(tmp_path) == journal(folder)
    for name in expected.files.values():
        assert (tmp_path / "models" / name).read_bytes() == (folder / "models" / name).read_bytes()


def test_both_phases_are_one_search(whole):
    epochs = [event for event in journal(whole[0]) if event["kind"] == "epoch"]
    assert [(e["step"], e["total"]) for e in epochs] == [(step, 4) for step in range(1, 5)]
    assert [e["message"] for e in epochs] == ["pretrain"] * 2 + ["search"] * 2
    radii = [e["scalars"]["radius"] for e in epochs]
    assert radii == [0, 0, 0.5, 1]
    before = [e["scalars"]["path_entropy"] for e in epochs[:2]]
    assert before == pytest.approx([math.log(2)] * 2)
    last = epochs[-1]["scalars"]
    assert (last["path_sparsity"], last["operation_sparsity"]) == (0.5, 0.75)
    assert last["path_entropy"] == last["operation_entropy"] == 0
    path = Architecture.from_json(epochs[-1]["architecture"])["path"]
    assert {name: value for name, value in last.items() if "/" in name} == {f"path/{path}": 1}
    needed = {"loss", "architecture_loss", "expected_cost", "lambda", "width_entropy"}
    assert needed | {"cost_term", "order_term", "width_sparsity"} <= last.keys()


def test_result_is_the_last_architecture_with_the_weights_that_it_has(whole, problem):
    folder, result = whole
    found = SearchResult.from_result(result)
    assert found.counts == {"steps": 4}
    assert found.trials == (), "steps are not trials"
    last = journal(folder)[-2]
    assert found.chosen == Architecture.from_json(last["architecture"])
    assert found.measurement.metrics["loss"] == last["scalars"]["loss"]
    assert found.measurement.metrics["expected_cost"] == last["scalars"]["expected_cost"]
    model = load_model(folder / "models" / result.files["inherited"])
    assert (model.architecture, model.scale) == (found.chosen, 2)
    cost = count(model.module, (1, 3, 360, 640))
    assert found.measurement.metrics["mult_adds"] == cost.mult_adds
    assert found.measurement.metrics["params"] == cost.params
    low = load_pairs(problem.data.train, scale=2, split="train")[0].lr
    image = upscale(model.module, low, scale=2)
    assert image.shape == (3, 64, 72)
    assert image.float().std() > 0


def test_result_before_the_beginning_is_empty(problem, tmp_path):
    result = strategy().search(problem).result(tmp_path)
    assert (result.values["chosen"], result.values["counts"]) == (None, {"steps": 0})
    assert list(tmp_path.iterdir()) == []


def test_phases_learn_from_their_half_of_the_teachers_images(problem, monkeypatch):
    streams = []

    class Recorder(supervision_module.PatchSampler):
        def __init__(self, pairs, **options):
            streams.append({pair.name for pair in pairs})
            super().__init__(pairs, **options)

    def taught(pairs, config, *, scale, device):
        assert (config.source, scale, device) == ("ground-truth", 2, "cpu")
        return tuple(ImagePair(f"taught-{pair.name}", pair.lr, pair.hr) for pair in pairs)

    monkeypatch.setattr(supervision_module, "PatchSampler", Recorder)
    monkeypatch.setattr(strategy_module, "taught_pairs", taught)
    for _ in strategy(pretrain={"steps": 1}, search={"steps": 1}).search(problem).events():
        pass
    pretraining, weights, architecture = streams
    assert pretraining == weights
    assert not weights & architecture
    assert weights | architecture == {f"taught-train{number}" for number in range(3)}


def test_halves_are_drawn_from_the_seed():
    pairs = [ImagePair(str(n), torch.empty(0), torch.empty(0)) for n in range(9)]
    drawn = [[[p.name for p in half] for half in halves(pairs, seed=seed)] for seed in (0, 0, 1)]
    assert drawn[0] == drawn[1] != drawn[2]
    first, second = drawn[0]
    assert (len(first), len(second)) == (5, 4)
    assert sorted(first + second) == [str(n) for n in range(9)]


def test_fixed_path_is_not_searched(problem, tmp_path):
    task = strategy(architecture={"fixed_path": "00"}).search(problem)
    for event in task.events():
        assert event.architecture["path"] == "00"
        assert event.scalars["path/00"] == 1
    found = SearchResult.from_result(task.result(tmp_path))
    assert found.chosen["path"] == "00"


def test_a_loss_that_leaves_the_finite_numbers_ends_the_search(problem, monkeypatch):
    original, made = TrilevelSpace.supernet, []

    def supernet(space):
        made.append(original(space))
        return made[0]

    monkeypatch.setattr(TrilevelSpace, "supernet", supernet)
    events = strategy().search(problem).events()
    next(events)
    with torch.no_grad():
        made[0].head.weight.fill_(float("nan"))
    with pytest.raises(Diverged, match="loss became nan between steps 1 and 2"):
        next(events)


def test_features_are_those_of_the_options(problem):
    features = {"network": "random-features", "layers": ["conv1"]}
    task = strategy(search={"steps": 1, "perceptual": 0.5}, features=features).search(problem)
    losses = [event.scalars["loss"] for event in task.events()]
    plain = [
        event.scalars["loss"] for event in strategy(search={"steps": 1}).search(problem).events()
    ]
    assert losses[:2] == plain[:2]
    assert losses[2] > plain[2]


def test_missing_weights_of_the_features_are_said_before_the_start(problem, tmp_path, monkeypatch):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    with pytest.raises(DataError, match="the weights of vgg19 are not on this machine"):
        strategy(search={"perceptual": 1.0}).search(problem)


def test_a_space_without_this_supernet_is_refused():
    with pytest.raises(ConfigError, match="'surrogate' has none"):
        strategy().search(surrogate_problem(1))


def test_a_recipe_without_images_is_refused(problem):
    with pytest.raises(ConfigError, match="data: the strategy 'trilevel' trains on images"):
        strategy().search(evolve(problem, data=None))


def test_one_image_is_refused(problem, photographs, tmp_path):
    image = photographs / "train" / "train0.png"
    (tmp_path / image.name).write_bytes(image.read_bytes())
    with pytest.raises(DataError, match="one image; the strategy 'trilevel' needs two at least"):
        strategy().search(evolve(problem, data=DataConfig(train=str(tmp_path))))


def test_unknown_fixed_path_is_refused(problem):
    with pytest.raises(ConfigError, match=r"fixed_path: '0001' is no path of trilevel-b; did you"):
        strategy(architecture={"fixed_path": "0001"}).search(problem)


def test_all_that_is_random_has_a_seed_of_its_own(problem, monkeypatch):
    seeds = []

    def recording(function):
        def record(*arguments, **options):
            seeds.append(options["seed"] if "seed" in options else arguments[0])
            return function(*arguments, **options)

        return record

    places = {
        search_module: ("seeded", "OneShotStep"),
        supervision_module: ("halves", "PatchSampler"),
    }
    for module, names in places.items():
        for name in names:
            monkeypatch.setattr(module, name, recording(getattr(module, name)))
    list(strategy().search(problem).events())
    assert len(seeds) == 8, "halves of each phase, weights, two draws, three streams of patches"
    assert len(set(seeds)) == 7, "both phases have the same halves"
