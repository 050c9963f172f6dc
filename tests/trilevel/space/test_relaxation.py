import pytest
import torch

from corenas.supernets.mixtures import argmax, mixtures, one_hot
from corenas.testing.contracts import random_architectures
from corenas_trilevel.space.config import TrilevelBConfig
from corenas_trilevel.space.relaxation import relaxation
from corenas_trilevel.space.space import TrilevelSpace

SPACE = TrilevelSpace(
    TrilevelBConfig(cells=3, searched_cells=2, ups=1, widths=(3, 5, 6), features=6)
)
PATH = SPACE.decisions[:1]


def test_argmax_of_a_one_hot_point_is_the_architecture():
    for architecture in random_architectures(SPACE, 20):
        assert argmax(SPACE, one_hot(SPACE, architecture)) == SPACE.canonical(architecture)


def test_stacked_weights_are_named_in_the_order_of_cells():
    cells = len(SPACE.cells)
    path = torch.rand(len(SPACE.candidates))
    operations, widths = torch.rand(cells, 5, 4), torch.rand(cells, 4, 3)
    point = relaxation(SPACE, path=path, operations=operations, widths=widths)
    assert list(point) == [decision.name for decision in SPACE.decisions]
    assert torch.equal(point["path"], path)
    for number, cell in enumerate(SPACE.cells):
        assert torch.equal(point[f"cell-{cell}-operation-3"], operations[number, 2])
        assert torch.equal(point[f"cell-{cell}-width-4"], widths[number, 3])


def test_gradients_flow_back_into_the_stacked_weights():
    cells = len(SPACE.cells)
    tensors = {
        "path": torch.rand(len(SPACE.candidates), requires_grad=True),
        "operations": torch.rand(cells, 5, 4, requires_grad=True),
        "widths": torch.rand(cells, 4, 3, requires_grad=True),
    }
    sum(weights.square().sum() for weights in relaxation(SPACE, **tensors).values()).backward()
    for tensor in tensors.values():
        torch.testing.assert_close(tensor.grad, 2 * tensor.detach())


def test_exact_zeros_take_no_part_but_small_weights_do():
    weights = torch.zeros(len(SPACE.candidates))
    weights[[1, 4]] = torch.tensor([1e-30, 1.0])
    mixture = mixtures({"path": weights}, PATH)["path"]
    assert mixture.taking_part == (1, 4)
    assert mixture.dense().taking_part == tuple(range(len(weights)))


@pytest.mark.parametrize(
    ("point", "message"),
    [
        ({}, "path: the point lacks this decision"),
        ({"path": torch.ones(3)}, r"path: expected weights of shape \(\d+,\), got \(3,\)"),
        ({"path": torch.zeros(len(SPACE.candidates))}, "path: all weights are zero"),
    ],
)
def test_points_that_do_not_fit_are_refused(point, message):
    with pytest.raises(ValueError, match=message):
        mixtures(point, PATH)
