"""The supernet's steps: who is updated by what, how levels decide, and what they pay."""

import math
from copy import deepcopy

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from corenas import ConfigError, Diverged, structure
from corenas.supernets.mixtures import one_hot
from corenas.training.networks import seeded
from corenas_oneshot.relaxing.draws import gumbel_one_hot
from corenas_oneshot.relaxing.logits import Logits
from corenas_oneshot.relaxing.sparsestmax import sparsemax, sparsestmax
from corenas_oneshot.search.step import OneShotStep
from corenas_sr.training.supervision import PatchSupervision
from corenas_trilevel.search._penalty import cost_term, order_term
from corenas_trilevel.search._terms import TrilevelTerms
from corenas_trilevel.search.config import TrilevelStrategyConfig
from corenas_trilevel.search.strategy import learning_of, relaxing_of
from corenas_trilevel.space._expected_cost import ExpectedCost
from corenas_trilevel.space.config import TrilevelBConfig
from corenas_trilevel.space.relaxation import relaxation
from corenas_trilevel.space.space import TrilevelSpace
from corenas_trilevel.teacher.loss import TeacherLoss

TINY = {"cells": 2, "searched_cells": 1, "widths": (2, 4), "features": 4, "scale": 2}
SPACE = TrilevelSpace(TrilevelBConfig(**TINY, ups=1))
SMALLER = TrilevelSpace(TrilevelBConfig(**TINY, ups=0))


def batch(seed):
    generator = torch.Generator().manual_seed(seed)
    shapes = (2, 3, 6, 6), (2, 3, 12, 12)
    return tuple(
        torch.randint(256, shape, generator=generator, dtype=torch.uint8) for shape in shapes
    )


BATCHES = [batch(1), batch(2)]


def options(**changes):
    defaults = {
        "search": {"steps": 4},
        "order": {"mode": "off"},
        "cost": {"weight": 0.0},
        "architecture": {"learning_rate": 0.1},
    }
    return structure(TrilevelStrategyConfig, defaults, changes)


def make_logits(space, config, generator):
    fixed = {"path": config.fixed_path} if config.fixed_path else {}
    return Logits(space, relaxing_of(config), generator=generator, fixed=fixed)


def path(logits):
    """Return the logits of the paths, shape (candidates,)."""
    return logits.levels[0][0]


def operations(logits):
    """Return the logits of the operations, shape (cells, 5, 4)."""
    return logits.levels[1].unflatten(0, (-1, 5))


def widths(logits):
    """Return the logits of the widths, shape (cells, 4, widths)."""
    return logits.levels[2].unflatten(0, (-1, 4))


def make(*, learns=True, space=SMALLER, **changes):
    config = options(**changes)
    with seeded(0):
        supernet = space.supernet()
    logits = make_logits(space, config.architecture, torch.Generator().manual_seed(1))
    loss = TeacherLoss(config.search)
    step = OneShotStep(
        supernet,
        logits,
        PatchSupervision(lambda device: (), loss, scale=2, patch=6, batch=2),
        TrilevelTerms(supernet, config),
        learning_of(config),
        steps=config.search.steps if learns else None,
        learning_rate=1e-2,
        seed=2,
    )
    return step, supernet, logits


def tensors(module):
    return {name: tensor.clone() for name, tensor in module.state_dict().items()}


def moved(before, module):
    return {
        name
        for name, tensor in module.state_dict().items()
        if not torch.equal(tensor, before[name])
    }


class Reference:
    """Algorithm 1 with the losses of a step summed, in plain torch."""

    def __init__(self, supernet, logits, config):
        self.supernet, self.logits, self.config = supernet, logits, config
        self.generator = torch.Generator().manual_seed(2)
        self.w = torch.optim.Adam(supernet.parameters(), lr=1e-2)
        self.a = torch.optim.Adam(logits.parameters(), lr=0.1, betas=(0.5, 0.999))

    def points(self, radius):
        mixed = widths(self.logits)
        first, last = torch.zeros_like(mixed), torch.zeros_like(mixed)
        first[..., 0] = last[..., -1] = 1
        drawn = gumbel_one_hot(mixed, temperature=1.0, generator=self.generator)
        paths = sparsestmax(path(self.logits), radius)
        chosen = sparsestmax(operations(self.logits), radius)
        return [
            relaxation(SMALLER, path=paths, operations=chosen, widths=each)
            for each in (drawn, first, last)
        ]

    def loss(self, points, low, high):
        outputs = [self.supernet(low.float(), point) for point in points]
        return sum(F.l1_loss(output / 255, high / 255) for output in outputs)

    def weights(self, radius, low, high):
        self.w.zero_grad()
        loss = self.loss(self.points(radius), low, high)
        loss.backward()
        nn.utils.clip_grad_norm_(self.supernet.parameters(), self.config.clip)
        self.w.step()
        return float(loss.detach())

    def architecture(self, radius, low, high):
        self.a.zero_grad()
        points = self.points(radius)
        loss = self.loss(points, low, high)
        cost = self.config.cost.weight * cost_term(self.supernet, points[0])
        paths, chains = path(self.logits), SMALLER.chains
        order = order_term("difference", logits=paths, weights=points[0]["path"], chains=chains)
        (loss + cost + 0.5 * order).backward()
        self.a.step()
        return [float(term.detach()) for term in (loss, cost, 0.5 * order)]


@pytest.mark.parametrize(
    ("alternate", "radii"), [("weights-first", (0.0, 0.25)), ("architecture-first", (0.0,))]
)
def test_steps_are_those_of_the_algorithm_in_plain_torch(alternate, radii):
    changes = {
        "alternate": alternate,
        "clip": 1e-2,
        "cost": {"weight": 1e-8},
        "order": {"mode": "difference", "weight": 0.5},
    }
    step, supernet, logits = make(**changes)
    reference = Reference(deepcopy(supernet), deepcopy(logits), options(**changes))
    for radius in radii:
        turns = [(reference.weights, *BATCHES[0]), (reference.architecture, *BATCHES[1])]
        if alternate == "architecture-first":
            turns.reverse()
        expected = {turn.__name__: turn(radius, low, high) for turn, low, high in turns}
        scalars = step.step(BATCHES)
        assert float(scalars["loss"]) == pytest.approx(expected["weights"], abs=1e-5)
        names = ("architecture_loss", "cost_term", "order_term")
        numbers = [float(scalars[name]) for name in names]
        assert numbers == pytest.approx(expected["architecture"], abs=1e-5)
    for ours, theirs in ((supernet, reference.supernet), (logits, reference.logits)):
        for name, tensor in ours.state_dict().items():
            torch.testing.assert_close(tensor, theirs.state_dict()[name], atol=2e-5, rtol=0)


@pytest.mark.parametrize("alternate", ["weights-first", "architecture-first"])
def test_architecture_step_leaves_no_gradient_of_the_weights(alternate):
    step, supernet, logits = make(alternate=alternate)
    step.step(BATCHES)
    assert all(weight.grad is None for weight in supernet.parameters())
    assert all(level.grad is not None for level in logits.parameters())


def test_pretraining_moves_the_weights_and_no_logit():
    step, supernet, logits = make(learns=False)
    weights, levels = tensors(supernet), tensors(logits)
    scalars = step.step(BATCHES[:1])
    assert scalars.keys() == {"loss"}
    assert moved(weights, supernet) == weights.keys()
    assert moved(levels, logits) == set()
    assert step.radius == 0


def test_pretraining_sees_the_widest_the_narrowest_and_two_random_networks_of_all_paths():
    step, supernet, _ = make(learns=False)
    points = []
    supernet.register_forward_pre_hook(lambda module, inputs: points.append(inputs[1]))
    step.step(BATCHES[:1])
    seen = [torch.stack([row for n, row in p.items() if "width" in n]) for p in points]
    assert [rows.argmax(-1).unique().tolist() for rows in seen] == [[1], [0], [0, 1], [0, 1]]
    assert not torch.equal(seen[2], seen[3])
    assert all(set(rows.unique().tolist()) == {0, 1} for rows in seen)
    for point in points:
        assert (point["path"] == 1 / len(SMALLER.candidates)).all()
        assert (point["cell-0-operation-3"] == 0.25).all()


def test_weights_off_the_path_stay_as_they_are_and_have_no_state_in_adam():
    step, supernet, logits = make(space=SPACE, architecture={"fixed_path": "01"})
    weights, levels = tensors(supernet), tensors(logits)
    step.step(BATCHES)
    on_path = {n for n in weights if n.startswith(("head.", "tail.", "cells.0.", "ups.01."))}
    trained = moved(weights, supernet)
    skips = {name for name in on_path if ".skip." in name}  # used between unequal widths alone
    assert on_path - skips <= trained <= on_path < weights.keys()
    assert len(step.state()["weights_optimiser"]["state"]) == len(trained)
    assert moved(levels, logits) == {"levels.1", "levels.2"}
    assert SPACE.format(logits.architecture())["path"] == "01"
    report = step.report()
    assert [name for name in report if name.startswith("path/")] == ["path/01"]
    assert report["path_entropy"] == 0


def test_sandwich_can_be_left_out():
    step, supernet, _ = make(sandwich=False)
    calls = []
    supernet.tail.register_forward_hook(lambda *_: calls.append(1))
    step.step(BATCHES)
    assert len(calls) == 2


def test_cost_and_order_count_only_where_they_weigh():
    step, _, _ = make()
    assert step.step(BATCHES).keys() == {"loss", "architecture_loss"}


def trained(space=SMALLER, steps=3, **changes):
    """Return the logits after so many architecture steps, and the report."""
    step, _, logits = make(space=space, search={"steps": steps}, sandwich=False, **changes)
    for _ in range(steps):
        step.step(BATCHES)
    return logits, step.report()


def test_lambda_makes_the_network_cheaper():
    costs, cost = [], ExpectedCost(SMALLER)
    for weight in (0.0, 1.0):
        logits, _ = trained(cost={"weight": weight})
        costs.append(float(cost(one_hot(SMALLER, logits.architecture()), 1)))
    assert costs[1] < 0.5 * costs[0]
    choices = dict(logits.architecture().choices)
    assert choices["path"] == "0"
    assert {choices[f"cell-0-operation-{n}"] for n in range(1, 6)} == {"conv1"}


@pytest.mark.parametrize("mode", ["difference", "hinge"])
def test_order_takes_weight_from_deep_paths(mode):
    shares = []
    for weight in (0.0, 1e3):
        logits, _ = trained(
            order={"mode": mode, "weight": weight}, architecture={"path": "softmax"}, steps=3
        )
        deep = SMALLER.candidates.index("00")
        shares.append(float(logits.weights(0.0)["path"][deep].detach()))
    assert shares[1] < 0.5  # where it began
    assert shares[1] < shares[0]


@pytest.mark.parametrize(
    ("cost", "expected"),
    [
        ({"every": 2, "lowest": 1e12, "highest": 1e12}, [1e-30, 5e-31]),
        ({"every": 2, "lowest": 0, "highest": 0}, [1e-30, 2e-30]),
        ({"every": 1, "lowest": 0, "highest": 1e12}, [1e-30, 1e-30]),
        ({"every": 1, "lowest": 0, "highest": 0, "adaptive": False}, [1e-30, 1e-30]),
    ],
)
def test_lambda_follows_the_derived_cost_at_its_interval(cost, expected):
    step, _, _ = make(cost={"weight": 1e-30, **cost}, sandwich=False)
    seen = []
    for _ in expected:
        step.step(BATCHES)
        seen.append(step.report()["lambda"])
    assert seen == expected


def some_logits(space=SPACE, **changes):
    generator = torch.Generator().manual_seed(5)
    logits = make_logits(space, options(architecture=changes).architecture, generator)
    with torch.no_grad():
        for level in logits.searched:
            level.copy_(torch.randn(level.shape, generator=generator))
    return logits


def scalars_of(logits, radius, space=SPACE):
    """Return the scalars of the logits where only cells on a path count."""
    weights = logits.weights(radius)
    taking_part = TrilevelTerms(space.supernet(), options()).taking_part(weights)
    return logits.scalars(weights, taking_part)


def test_every_level_is_one_hot_at_radius_1():
    logits = some_logits(widths="sparsestmax")
    scalars = scalars_of(logits, 1.0)
    shares = {n: v for n, v in scalars.items() if n.endswith("_sparsity")}
    count = len(SPACE.candidates)
    assert shares == pytest.approx(
        {"path_sparsity": 1 - 1 / count, "operation_sparsity": 0.75, "width_sparsity": 0.5}
    )
    assert all(value == 0 for name, value in scalars.items() if name.endswith("_entropy"))
    chosen = SPACE.format(logits.architecture())["path"]
    assert {n: v for n, v in scalars.items() if "/" in n} == {f"path/{chosen}": 1.0}


@pytest.mark.parametrize("center", ["simplex", "support"])
def test_levels_become_weights_as_the_options_say(center):
    logits = some_logits(path="sparsestmax", operations="sparsemax", center=center)
    point, number = logits.weights(0.6), SPACE.cells.index("0")
    assert torch.equal(point["path"], sparsestmax(path(logits), 0.6, center=center))
    chosen, drawn = point["cell-0-operation-3"], point["cell-0-width-2"]
    assert torch.equal(chosen, sparsemax(operations(logits))[number, 2])
    assert torch.equal(drawn, widths(logits).softmax(-1)[number, 1])
    both = (sparsestmax(path(logits), 0.6, center=each) for each in ("simplex", "support"))
    assert not torch.equal(*both)


def test_softmax_leaves_nothing_out():
    scalars = scalars_of(some_logits(path="softmax", operations="softmax"), 1.0)
    assert scalars["path_sparsity"] == scalars["operation_sparsity"] == 0
    assert len([name for name in scalars if "/" in name]) == len(SPACE.candidates)


def test_entropy_is_the_mean_over_decisions_of_cells_that_take_part():
    logits = some_logits(fixed_path="0", operations="softmax")
    (cell,) = (i for i, name in enumerate(SPACE.cells) if name == "0")
    assert len(SPACE.cells) > 1
    weights = operations(logits)[cell].detach().softmax(-1)
    expected = float(-(weights * weights.log()).sum(-1).mean())
    assert scalars_of(logits, 0.0)["operation_entropy"] == pytest.approx(expected)


@pytest.mark.parametrize("level", ["softmax", "sparsemax"])
def test_search_runs_with_other_levels_and_mixed_widths(level):
    logits, report = trained(
        steps=2, architecture={"path": level, "operations": level, "widths": "sparsestmax"}
    )
    assert all(level.grad.abs().max() > 0 for level in logits.levels[:2])
    assert report["width_entropy"] == 0
    assert report["radius"] == 1
    assert math.isfinite(report["expected_cost"])


def test_initial_logits_are_the_published_ones():
    logits = make_logits(SPACE, options().architecture, torch.Generator())
    assert (path(logits) == 0.3).all()
    assert (operations(logits) == 1e-3).all()
    assert 0.5e-3 < widths(logits).std() < 2e-3
    random = options(architecture={"initial": "random"}).architecture
    drawn = make_logits(SPACE, random, torch.Generator())
    assert 0.5e-3 < operations(drawn).std() < 2e-3


def test_state_shares_its_tensors_with_the_network():
    step, supernet, _ = make(learns=False)
    step.step(BATCHES[:1])
    saved = step.state()["supernet"]
    for name, tensor in supernet.state_dict().items():
        assert saved[name].data_ptr() == tensor.data_ptr()


def test_an_architecture_that_left_the_finite_numbers_is_no_architecture():
    step, _, logits = make()
    with torch.no_grad():
        path(logits)[0] = math.nan
    with pytest.raises(Diverged, match="became nan"):
        step.report()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"search": {"pixel": 0}}, "search.perceptual: must be greater than 0 where pixel is 0"),
        ({"cost": {"lowest": 2, "highest": 1}}, "cost.lowest: must be at most highest, 1, got 2"),
        ({"order": {"mode": "hing"}}, "order.mode: unknown value 'hing'; did you mean 'hinge'"),
        ({"architecture": {"path": "max"}}, "architecture.path: unknown value 'max'"),
    ],
)
def test_options_that_make_no_search_are_refused(changes, message):
    with pytest.raises(ConfigError, match=message):
        options(**changes)
