"""The supernet's steps: who is updated by what, how levels decide, and what they pay."""

import math
from copy import deepcopy

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from corenas import ConfigError, Diverged, structure
from corenas.training.networks import seeded
from corenas_trilevel.search._logits import Logits, gumbel_one_hot, uniform_one_hot
from corenas_trilevel.search._penalty import cost_term, order_term
from corenas_trilevel.search._step import PretrainStep, SearchStep
from corenas_trilevel.search.config import PhaseConfig, TrilevelStrategyConfig
from corenas_trilevel.search.sparsestmax import sparsemax, sparsestmax
from corenas_trilevel.space._expected_cost import ExpectedCost
from corenas_trilevel.space.config import TrilevelBConfig
from corenas_trilevel.space.relaxation import one_hot, relaxation
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


def make(kind=SearchStep, space=SMALLER, **changes):
    config = options(**changes)
    with seeded(0):
        supernet = space.supernet()
    generator = torch.Generator().manual_seed(1)
    logits = Logits(space, config.architecture, generator=generator)
    loss = TeacherLoss(config.search)
    return kind(supernet, logits, loss, config, learning_rate=1e-2, seed=2), supernet, logits


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
        widths = self.logits.widths
        first, last = torch.zeros_like(widths), torch.zeros_like(widths)
        first[..., 0] = last[..., -1] = 1
        drawn = gumbel_one_hot(widths, temperature=1.0, generator=self.generator)
        path = sparsestmax(self.logits.path, radius)
        operations = sparsestmax(self.logits.operations, radius)
        return [
            relaxation(SMALLER, path=path, operations=operations, widths=each)
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
        path, chains = self.logits.path, SMALLER.chains
        order = order_term("difference", logits=path, weights=points[0]["path"], chains=chains)
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
    step, supernet, logits = make(PretrainStep)
    weights, levels = tensors(supernet), tensors(logits)
    scalars = step.step(BATCHES[:1])
    assert scalars.keys() == {"loss"}
    assert moved(weights, supernet) == weights.keys()
    assert moved(levels, logits) == set()
    assert step.radius == 0


def test_pretraining_sees_the_widest_the_narrowest_and_two_random_networks_of_all_paths():
    step, supernet, _ = make(PretrainStep)
    points = []
    supernet.register_forward_pre_hook(lambda module, inputs: points.append(inputs[1]))
    step.step(BATCHES[:1])
    widths = [torch.stack([row for n, row in p.items() if "width" in n]) for p in points]
    assert [rows.argmax(-1).unique().tolist() for rows in widths] == [[1], [0], [0, 1], [0, 1]]
    assert not torch.equal(widths[2], widths[3])
    assert all(set(rows.unique().tolist()) == {0, 1} for rows in widths)
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
    assert moved(levels, logits) == {"operations", "widths"}
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
        shares.append(float(logits.path_weights(0.0)[deep].detach()))
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
    logits = Logits(space, options(architecture=changes).architecture, generator=generator)
    with torch.no_grad():
        for level in logits.searched:
            level.copy_(torch.randn(level.shape, generator=generator))
    return logits


def test_every_level_is_one_hot_at_radius_1():
    logits = some_logits(widths="sparsestmax")
    scalars = logits.scalars(1.0)
    shares = {n: v for n, v in scalars.items() if n.endswith("_sparsity")}
    count = len(SPACE.candidates)
    assert shares == pytest.approx(
        {"path_sparsity": 1 - 1 / count, "operation_sparsity": 0.75, "width_sparsity": 0.5}
    )
    assert all(value == 0 for name, value in scalars.items() if name.endswith("_entropy"))
    path = SPACE.format(logits.architecture())["path"]
    assert {n: v for n, v in scalars.items() if "/" in n} == {f"path/{path}": 1.0}


@pytest.mark.parametrize("center", ["simplex", "support"])
def test_levels_become_weights_as_the_options_say(center):
    logits = some_logits(path="sparsestmax", operations="sparsemax", center=center)
    expected = sparsestmax(logits.path, 0.6, center=center)
    assert torch.equal(logits.path_weights(0.6), expected)
    assert torch.equal(logits.operation_weights(0.6), sparsemax(logits.operations))
    assert torch.equal(logits.width_weights(0.6), logits.widths.softmax(-1))
    both = (sparsestmax(logits.path, 0.6, center=each) for each in ("simplex", "support"))
    assert not torch.equal(*both)


def test_softmax_leaves_nothing_out():
    scalars = some_logits(path="softmax", operations="softmax").scalars(1.0)
    assert scalars["path_sparsity"] == scalars["operation_sparsity"] == 0
    assert len([name for name in scalars if "/" in name]) == len(SPACE.candidates)


def test_entropy_is_the_mean_over_decisions_of_cells_that_take_part():
    logits = some_logits(fixed_path="0", operations="softmax")
    (cell,) = (i for i, name in enumerate(SPACE.cells) if name == "0")
    assert len(SPACE.cells) > 1
    weights = logits.operations[cell].detach().softmax(-1)
    expected = float(-(weights * weights.log()).sum(-1).mean())
    assert logits.scalars(0.0)["operation_entropy"] == pytest.approx(expected)


@pytest.mark.parametrize("level", ["softmax", "sparsemax"])
def test_search_runs_with_other_levels_and_mixed_widths(level):
    logits, report = trained(
        steps=2, architecture={"path": level, "operations": level, "widths": "sparsestmax"}
    )
    assert all(level.grad.abs().max() > 0 for level in (logits.path, logits.operations))
    assert report["width_entropy"] == 0
    assert report["radius"] == 1
    assert math.isfinite(report["expected_cost"])


def test_initial_logits_are_the_published_ones():
    logits = Logits(SPACE, options().architecture, generator=torch.Generator())
    assert (logits.path == 0.3).all()
    assert (logits.operations == 1e-3).all()
    assert 0.5e-3 < logits.widths.std() < 2e-3
    drawn = Logits(
        SPACE, options(architecture={"initial": "random"}).architecture, generator=torch.Generator()
    )
    assert 0.5e-3 < drawn.operations.std() < 2e-3


def test_drawn_widths_and_their_gradient_are_those_of_torchs_gumbel_softmax():
    logits = torch.randn(50, 5, generator=torch.Generator().manual_seed(0)).requires_grad_()
    generator = torch.Generator().manual_seed(3)
    drawn = gumbel_one_hot(logits, temperature=0.7, generator=generator)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(3)
        expected = F.gumbel_softmax(logits, tau=0.7, hard=True)
    assert set(drawn.detach().unique().tolist()) == {0.0, 1.0}
    assert (drawn.sum(-1) == 1).all()
    torch.testing.assert_close(drawn, expected)
    cotangent = torch.randn(50, 5, generator=generator)
    gradients = [torch.autograd.grad(y, logits, cotangent)[0] for y in (drawn, expected)]
    torch.testing.assert_close(*gradients)
    assert gradients[0].abs().max() > 0


def test_random_widths_are_one_hot_and_all_occur():
    drawn = uniform_one_hot(torch.zeros(1000, 4), torch.Generator().manual_seed(0))
    assert (drawn.sum(-1) == 1).all()
    assert (drawn.sum(0) > 200).all()


class Stub(nn.Module):
    def forward(self, image, target):
        return (image - target).mean().square()


def test_loss_weighs_l1_in_0_to_1_and_features():
    image, target = torch.full((1, 3, 4, 4), 100.0), torch.full((1, 3, 4, 4), 49.0)
    assert float(TeacherLoss(PhaseConfig())(image, target)) == pytest.approx(0.2)
    visual = TeacherLoss(PhaseConfig(pixel=1e-2, perceptual=2.0), Stub())
    assert float(visual(image, target)) == pytest.approx(0.2e-2 + 2 * 51.0**2)
    features = TeacherLoss(PhaseConfig(pixel=0.0, perceptual=1.0), Stub())
    assert float(features(image, target)) == pytest.approx(51.0**2)
    assert TeacherLoss(PhaseConfig(), Stub()).features is None
    with pytest.raises(ValueError, match="there are no features"):
        TeacherLoss(PhaseConfig(perceptual=1.0))


def test_state_shares_its_tensors_with_the_network():
    step, supernet, _ = make(PretrainStep)
    step.step(BATCHES[:1])
    saved = step.state()["supernet"]
    for name, tensor in supernet.state_dict().items():
        assert saved[name].data_ptr() == tensor.data_ptr()


def test_an_architecture_that_left_the_finite_numbers_is_no_architecture():
    step, _, logits = make()
    with torch.no_grad():
        logits.path[0] = math.nan
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
