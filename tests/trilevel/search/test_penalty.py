import pytest
import torch
from torch import Tensor

from corenas.supernets.mixtures import one_hot
from corenas.testing.contracts import random_architectures
from corenas_oneshot.relaxing.sparsestmax import softmax
from corenas_trilevel.search._penalty import adapted_lambda, cost_term, order_term
from corenas_trilevel.space.config import TrilevelAConfig, TrilevelBConfig
from corenas_trilevel.space.relaxation import relaxation
from corenas_trilevel.space.space import TrilevelSpace
from corenas_trilevel.space.supernet import TrilevelSupernet

SMALL = {"cells": 3, "searched_cells": 2, "widths": (3, 5, 6), "features": 6}
CONFIGS = [TrilevelAConfig(**SMALL, scale=2), TrilevelBConfig(**SMALL, ups=1)]
B = TrilevelSpace(TrilevelBConfig())


@pytest.fixture(autouse=True)
def _seeded():
    torch.manual_seed(0)


def logits(space: TrilevelSpace) -> dict[str, Tensor]:
    cells, widths = len(space.cells), len(space.config.widths)
    return {
        "path": torch.randn(len(space.candidates)).double().requires_grad_(),
        "operations": torch.randn(cells, 5, 4).double().requires_grad_(),
        "widths": torch.randn(cells, 4, widths).double().requires_grad_(),
    }


def term(supernet: TrilevelSupernet, values: dict[str, Tensor], **options) -> Tensor:
    weights = {name: softmax(value) for name, value in values.items()}
    return cost_term(supernet, relaxation(supernet.space, **weights), **options)


@pytest.mark.parametrize("config", CONFIGS)
def test_gradient_of_the_cost_term_matches_finite_differences(config):
    supernet = TrilevelSpace(config).supernet()
    values = logits(supernet.space)

    def cost(*tensors: Tensor) -> Tensor:
        return term(supernet, dict(zip(values, tensors, strict=True)), size=(1, 1)) / 1000

    assert torch.autograd.gradcheck(cost, tuple(values.values()))


@pytest.mark.parametrize(("omega1", "omega2"), [(1.0, 0.0), (0.0, 1.0)])
def test_each_part_of_the_cost_term_sees_its_own_level_and_the_path(omega1, omega2):
    supernet = TrilevelSpace(CONFIGS[1]).supernet()
    values = logits(supernet.space)
    term(supernet, values, omega1=omega1, omega2=omega2).backward()
    reached = {name: value.grad.abs().max().item() > 1e-6 for name, value in values.items()}
    assert reached == {"path": True, "operations": omega1 > 0, "widths": omega2 > 0}


def test_cost_term_weighs_full_widths_and_equal_operations():
    supernet = TrilevelSpace(CONFIGS[1]).supernet()
    space = supernet.space
    (architecture,) = random_architectures(space, 1)
    point = one_hot(space, architecture, dtype=torch.float64)
    widest = {n: torch.tensor([0.0, 0, 1]).double() for n in point if "width" in n}
    equal = {n: torch.full((4,), 0.25).double() for n in point if "operation" in n}
    expected = (
        2 * supernet.expected_cost({**point, **widest}, size=(350, 510))
        + 5 * supernet.expected_cost({**point, **equal}, size=(350, 510))
    ) / 7
    torch.testing.assert_close(cost_term(supernet, point), expected)


def test_descent_on_the_cost_term_leads_to_cheap_choices():
    supernet = TrilevelSpace(CONFIGS[1]).supernet()
    values = logits(supernet.space)
    optimizer = torch.optim.Adam(values.values(), lr=0.1)
    before = term(supernet, values).item()
    for _ in range(200):
        optimizer.zero_grad()
        term(supernet, values).backward()
        optimizer.step()
    assert term(supernet, values).item() < before
    path = supernet.space.candidates[int(values["path"].argmax())]
    assert path == "0"
    assert int(values["operations"][0, 0].argmax()) == 0
    assert (values["widths"][0].argmax(-1) == 0).all()


@pytest.mark.parametrize(
    ("mult_adds", "expected"),
    [(99e9, 0.5), (100e9, 1.0), (250e9, 1.0), (400e9, 1.0), (401e9, 2.0)],
)
def test_lambda_follows_the_cost_of_the_derived_network(mult_adds, expected):
    assert adapted_lambda(1.0, mult_adds) == expected


def test_bounds_of_lambda_can_be_chosen():
    assert adapted_lambda(1.0, 5.0, lowest=6.0, highest=9.0) == 0.5
    assert adapted_lambda(1.0, 10.0, lowest=6.0, highest=9.0) == 2.0


def test_difference_pulls_the_root_up_and_the_leaves_down():
    values = torch.randn(55, dtype=torch.float64, requires_grad=True)
    order = order_term("difference", logits=values, weights=softmax(values), chains=B.chains)
    order.backward()
    leaves = [chain[-1] for chain in B.chains]
    expected = torch.zeros(55, dtype=torch.float64)
    expected[B.candidates.index("0")] = -15
    expected[leaves] = 1
    torch.testing.assert_close(values.grad, expected)
    root = values[B.candidates.index("0")]
    torch.testing.assert_close(order, values[leaves].sum() - 15 * root)


def test_hinge_counts_only_what_is_out_of_order():
    weights = torch.tensor([0.4, 0.5, 0.1, 0.3], requires_grad=True)
    order = order_term("hinge", logits=weights, weights=weights, chains=[(0, 1, 2), (0, 3)])
    torch.testing.assert_close(order, torch.tensor(0.1))
    (gradient,) = torch.autograd.grad(order, weights)
    assert gradient.tolist() == [-1, 1, 0, 0]


def test_hinge_is_zero_in_order():
    weights = torch.tensor([0.5, 0.3, 0.2])
    assert order_term("hinge", logits=-weights, weights=weights, chains=[(0, 1, 2)]) == 0


@pytest.mark.parametrize("mode", ["difference", "hinge"])
@pytest.mark.parametrize("config", [TrilevelAConfig(), TrilevelBConfig()])
def test_order_takes_weight_from_deep_paths(mode, config):
    space = TrilevelSpace(config)
    values = (0.1 * torch.randn(len(space.candidates))).requires_grad_()
    deep = sorted({chain[-1] for chain in space.chains})
    before = softmax(values)[deep].sum()
    optimizer = torch.optim.SGD([values], lr=0.1)
    for _ in range(50):
        optimizer.zero_grad()
        order_term(mode, logits=values, weights=softmax(values), chains=space.chains).backward()
        optimizer.step()
    assert softmax(values)[deep].sum() < before


def test_order_can_be_off():
    values = torch.randn(3)
    assert order_term("off", logits=values, weights=values, chains=[(0, 1, 2)]) == 0


def test_unknown_order_is_refused():
    values = torch.randn(3)
    with pytest.raises(ValueError, match="mode must be 'difference', 'hinge' or 'off', got 'on'"):
        order_term("on", logits=values, weights=values, chains=[])
