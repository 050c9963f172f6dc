"""One-shot strategies over a space that is not theirs: steps, ranking, contracts and refusals."""

from __future__ import annotations

from copy import deepcopy
from itertools import product

import pytest
import torch
import torch.nn.functional as F
from attrs import evolve

from corenas import (
    Architecture,
    Budget,
    ConfigError,
    DataError,
    Decision,
    ResumeError,
    SearchError,
    SearchResult,
    structure,
)
from corenas.supernets.mixtures import one_hot
from corenas.testing.contracts import StrategyContract
from corenas.testing.surrogate import surrogate_problem
from corenas.training.networks import seeded
from corenas_oneshot.config import DartsConfig, OneShotConfig, SinglePathConfig
from corenas_oneshot.search.search import OneShotSearch
from corenas_oneshot.search.step import OneShotStep
from corenas_oneshot.search.strategy import darts, gumbel, single_path, sparsestmax
from corenas_sr.config import CandidateConfig, DataConfig
from corenas_sr.training.short_training import ShortTraining
from corenas_sr.training.supervision import PatchSupervision
from corenas_tpsr.generator.config import GeneratorSpaceConfig
from corenas_tpsr.generator.space import GeneratorSpace

SMALL = {"nodes": 2, "channels": 4, "operations": ["conv1", "dsep3", "identity"]}
SPACE = GeneratorSpace(structure(GeneratorSpaceConfig, SMALL))
PHASE = {"steps": 2, "report_every": 1}
QUICK = {"warmup": PHASE, "search": PHASE, "architecture": {"learning_rate": 0.1}}


def evaluator(photographs, **options):
    training = {"steps": 2, "batch": 2, "patch": 6}
    config = structure(CandidateConfig, {"training": training, "crops": 1, **options})
    data = DataConfig(train=str(photographs / "train"), validation=str(photographs / "valid"))
    return ShortTraining(config, SPACE, data)


@pytest.fixture(scope="module")
def problem(photographs):
    return evolve(surrogate_problem(1), space=SPACE, evaluator=evaluator(photographs), seed=3)


def learnt(make=sparsestmax, kind=OneShotConfig, **changes):
    return make(structure(kind, QUICK, changes))


def ranked(**changes):
    small = {"training": PHASE, "candidates": 4, "batches": 2, "report_every": 1}
    return single_path(structure(SinglePathConfig, small, changes))


@pytest.mark.slow
class TestOneShot(StrategyContract):
    @pytest.fixture(autouse=True)
    def _keep_problem(self, problem):
        self.given = problem

    @pytest.fixture(params=["sparsestmax", "darts", "gumbel"])
    def strategy(self, request):
        make = {"sparsestmax": sparsestmax, "gumbel": gumbel}.get(request.param)
        return learnt(make, cost=0.1) if make else learnt(darts, DartsConfig)

    def problem(self, seed):
        return evolve(self.given, seed=seed)


@pytest.mark.slow
class TestSinglePath(TestOneShot):
    @pytest.fixture
    def strategy(self):
        return ranked()


def steps_of(search):
    """Do a search's first phase; return its step."""
    return search._begin()._step


def test_darts_step_is_the_first_order_one_in_plain_torch(problem):
    strategy = learnt(
        darts, DartsConfig, warmup={"steps": 0}, search={"steps": 1}, clip=1e9, cost=0.5
    )
    search = strategy.search(problem)
    assert isinstance(search, OneShotSearch)
    step = steps_of(search)
    assert isinstance(step, OneShotStep)
    supernet, logits = deepcopy(search._supernet), deepcopy(search._logits)
    # Two that differ: weights and architecture each learn from their own.
    batches = [
        (torch.randint(256, (2, 3, 6, 6)), torch.randint(256, (2, 3, 12, 12))) for _ in range(2)
    ]
    scalars = step.step([(low.byte(), high.byte()) for low, high in batches])

    def loss(batch):
        point = {d.name: logits.row(d.name).softmax(-1) for d in SPACE.decisions}
        low, high = batch
        return F.l1_loss(supernet(low.float(), point), high.float()), point

    # The architecture first, at the present weights (the paper's xi is 0).
    optimiser = torch.optim.Adam(logits.parameters(), lr=0.1, betas=(0.5, 0.999))
    first, point = loss(batches[1])
    even = {d.name: torch.full((len(d.options),), 1 / len(d.options)) for d in SPACE.decisions}
    cost = 0.5 * supernet.expected_cost(point) / float(supernet.expected_cost(even))
    (first + cost).backward()
    optimiser.step()
    weights = torch.optim.Adam(supernet.parameters(), lr=1e-3)
    weights.zero_grad()
    second, _ = loss(batches[0])
    second.backward()
    weights.step()
    assert float(scalars["architecture_loss"]) == pytest.approx(float(first.detach()), rel=1e-5)
    assert float(scalars["cost_term"]) == pytest.approx(float(cost.detach()), rel=1e-5)
    assert float(scalars["loss"]) == pytest.approx(float(second.detach()), rel=1e-5)
    for ours, theirs in ((search._logits, logits), (search._supernet, supernet)):
        for name, tensor in ours.state_dict().items():
            torch.testing.assert_close(tensor, theirs.state_dict()[name], atol=2e-5, rtol=0)


def test_weights_and_architecture_have_halves_of_their_own(problem, monkeypatch):
    asked, stream = [], PatchSupervision.stream

    def recorded(self, part, **options):
        asked.append((part, options["split"]))
        return stream(self, part, **options)

    monkeypatch.setattr(PatchSupervision, "stream", recorded)
    for strategy, expected in (
        (ranked(), ["weights", "architecture"]),  # training, ranking
        (learnt(), ["weights", "weights", "architecture"]),  # warm-up, search
    ):
        asked.clear()
        list(strategy.search(problem).events())
        assert [part for part, _ in asked] == expected
        assert len({split for _, split in asked}) == 1


def all_architectures():
    options = [decision.options for decision in SPACE.decisions]
    names = [decision.name for decision in SPACE.decisions]
    for chosen in product(*options):
        yield Architecture(SPACE.name, dict(zip(names, chosen, strict=True)))


def test_single_path_hands_over_the_best_of_all_paths(problem, tmp_path):
    strategy = ranked(candidates=120, report_every=120)
    search = strategy.search(problem)
    for _ in search.events():
        pass
    found = SearchResult.from_result(search.result(tmp_path))
    ranking, supernet = search._stage, search._supernet
    losses = {}
    with torch.no_grad():
        for architecture in all_architectures():
            point = one_hot(SPACE, architecture)
            each = [F.l1_loss(supernet(x, point), target) for x, target in ranking._batches]
            losses[architecture] = float(torch.stack(each).mean())
    assert len(losses) == 18, "with 120 draws, each of 18 paths is left out once in a thousand"
    assert found.chosen == min(losses, key=losses.__getitem__)
    assert found.measurement.metrics["loss"] == pytest.approx(min(losses.values()))
    assert found.counts == {"steps": 122, "ranked": 120, "rejected": 0}


def test_single_path_trains_one_path_a_step(problem):
    search = ranked(training={"steps": 6}).search(problem)
    step, points = steps_of(search), []
    search._supernet.register_forward_pre_hook(lambda module, inputs: points.append(inputs[1]))
    batch = (torch.zeros(1, 3, 6, 6).byte(), torch.zeros(1, 3, 12, 12).byte())
    for _ in range(6):
        assert step.step([batch]).keys() == {"loss"}
    assert len(points) == 6
    assert all(set(row.tolist()) <= {0, 1} for point in points for row in point.values())
    assert len({tuple(point["op_1"].tolist()) for point in points}) > 1


def test_ranking_leaves_out_what_the_evaluator_refuses(problem, photographs, tmp_path):
    cheap = SPACE.parse([["identity", 0], ["identity", 0]])
    limit = SPACE.cost(cheap, height=360, width=640).mult_adds
    limited = evolve(problem, evaluator=evaluator(photographs, mult_adds_limit=limit))
    search = ranked().search(limited)
    for _ in search.events():
        pass
    found = SearchResult.from_result(search.result(tmp_path))
    assert found.measurement.metrics["mult_adds"] == limit
    assert found.counts["rejected"] > 0
    nothing = evaluator(photographs, mult_adds_limit=1.0)
    impossible = evolve(problem, evaluator=nothing, budget=Budget(1, rejections=20))
    with pytest.raises(SearchError, match="20 random paths in a row were refused; the last one"):
        list(ranked().search(impossible).events())


def test_last_event_says_that_the_evaluator_would_refuse_what_was_chosen(problem, photographs):
    limited = evolve(problem, evaluator=evaluator(photographs, params_limit=1))
    *others, last = learnt().search(limited).events()
    assert [event.message for event in others] == ["warmup", "warmup", "search"]
    assert "search; the evaluator would refuse this network: " in last.message
    assert "parameters, the limit is 1" in last.message


def test_cost_makes_the_network_cheaper(problem, tmp_path):
    costs = []
    for weight in (0.0, 1e4):
        strategy = learnt(warmup={"steps": 0}, search={"steps": 6}, cost=weight)
        search = strategy.search(problem)
        for _ in search.events():
            pass
        found = SearchResult.from_result(search.result(tmp_path))
        costs.append(found.measurement.metrics["mult_adds"])
    assert costs[1] < costs[0]
    assert {found.chosen["op_1"], found.chosen["op_2"]} == {"identity"}


def test_sparsestmax_ends_at_one_architecture(problem):
    *_, last = learnt().search(problem).events()
    assert last.scalars["operation_entropy"] == last.scalars["input_entropy"] == 0
    assert last.scalars["radius"] == 1
    with seeded(0):
        supernet = SPACE.supernet()
    cost = float(supernet.expected_cost(one_hot(SPACE, last.architecture)))
    assert last.scalars["expected_cost"] == cost


def test_inherited_network_has_the_weights_of_the_supernet(problem, tmp_path):
    from corenas_sr.models.files import load_model

    search = learnt(gumbel).search(problem)
    for _ in search.events():
        pass
    result = search.result(tmp_path)
    model = load_model(tmp_path / result.files["inherited"])
    x = 255 * torch.rand(1, 3, 6, 6)
    search._supernet.eval()
    with torch.no_grad():
        expected = search._supernet(x, one_hot(SPACE, model.architecture))
        torch.testing.assert_close(model.module(x), expected)


def test_a_plan_knows_all_steps(problem):
    assert learnt().plan(problem).steps == 4
    plan = ranked(candidates=7).plan(problem)
    assert plan.steps == 9
    assert "s a step of ranking" in plan.note


def test_evaluator_without_supervision_is_refused(problem):
    without = evolve(problem, evaluator=surrogate_problem(1).evaluator)
    with pytest.raises(ConfigError, match="evaluator: the strategy 'gumbel' trains a supernet by"):
        learnt(gumbel).check(without)


def test_one_image_is_refused(problem, photographs, tmp_path):
    image = photographs / "train" / "train0.png"
    (tmp_path / image.name).write_bytes(image.read_bytes())
    data = DataConfig(train=str(tmp_path), validation=str(photographs / "valid"))
    alone = ShortTraining(structure(CandidateConfig, {"training": {"patch": 6}}), SPACE, data)
    with pytest.raises(DataError, match=r"needs two at least.*got 1"):
        learnt().check(evolve(problem, evaluator=alone))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"sandwich": True}, "sandwich: .* no decision of the space 'tpsr-generator' is a width"),
        (
            {"kinds": {"width": "gumbel"}},
            r"kinds\.width: no decision of the space .* is of this kind; it has input, operation",
        ),
    ],
)
def test_options_that_would_do_nothing_are_refused(problem, changes, message):
    with pytest.raises(ConfigError, match=message):
        learnt(**changes).check(problem)


def test_a_checkpoint_of_another_version_says_what_to_do(problem):
    search = learnt().search(problem)
    with pytest.raises(ResumeError, match=r"of another version of this search.*begin anew"):
        search.restore({"phase": "search", "state": {}})


def test_a_width_without_numbers_has_no_sandwich(problem):
    class Named:
        name, config = SPACE.name, SPACE.config
        decisions = (Decision("wide", ("narrow", "wide"), "width"),)

        def supernet(self):
            raise NotImplementedError

    with pytest.raises(ConfigError, match=r"sandwich: .* has the option 'narrow', which is no n"):
        learnt(sandwich=True).search(evolve(problem, space=Named()))
