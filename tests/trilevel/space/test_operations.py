import itertools

import pytest
import torch

from corenas.supernets.sharing import copy_slices
from corenas_trilevel.space.config import OPERATION_NAMES
from corenas_trilevel.space.operations import OPERATIONS, operation_cost

WIDTHS = (3, 4, 6, 8)
PAIRS = list(itertools.product(WIDTHS, WIDTHS))


def weights(operation: str, inputs: int, outputs: int) -> int:
    """The paper's formulas: every weight of an operation, batch norms left out."""
    skip = inputs * outputs if inputs != outputs else 0
    return {
        "conv1": inputs * outputs,
        "conv3": 9 * inputs * outputs,
        "res": 9 * inputs * outputs + 9 * outputs * outputs + skip,
        "dws": 4 * inputs * inputs + 36 * inputs + 4 * inputs * outputs + skip,
    }[operation]


@pytest.mark.parametrize("operation", OPERATIONS)
@pytest.mark.parametrize(("inputs", "outputs"), [(64, 64), (64, 24), (24, 56), (40, 40)])
class TestPlain:
    def test_parameters_follow_the_formula(self, operation, inputs, outputs):
        module = OPERATIONS[operation].plain(inputs, outputs)
        count = sum(parameter.numel() for parameter in module.parameters())
        assert count == weights(operation, inputs, outputs)

    def test_cost_per_pixel_is_one_mult_add_per_weight(self, operation, inputs, outputs):
        module = OPERATIONS[operation].plain(inputs, outputs)
        with torch.utils.flop_counter.FlopCounterMode(display=False) as counter:
            module(torch.rand(1, inputs, 5, 7))
        assert operation_cost(operation, inputs, outputs) * 35 == counter.get_total_flops() // 2

    def test_output_keeps_the_size_and_is_not_negative(self, operation, inputs, outputs):
        y = OPERATIONS[operation].plain(inputs, outputs)(torch.randn(2, inputs, 5, 7))
        assert y.shape == (2, outputs, 5, 7)
        assert y.min() >= 0
        assert y.max() > 0


def test_operations_are_in_the_papers_order():
    assert tuple(OPERATIONS) == OPERATION_NAMES == ("conv1", "conv3", "res", "dws")


@pytest.mark.parametrize("operation", OPERATIONS)
def test_slimmable_form_is_the_plain_one_at_every_pair_of_widths(operation):
    torch.manual_seed(0)
    slimmable = OPERATIONS[operation].slimmable(8)
    for inputs, outputs in PAIRS:
        plain = OPERATIONS[operation].plain(inputs, outputs)
        copy_slices(slimmable, plain)
        x = torch.randn(2, inputs, 6, 5)
        assert torch.equal(slimmable(x, outputs), plain(x))


@pytest.mark.parametrize("operation", OPERATIONS)
def test_slimmable_form_computes_no_more_than_the_plain_one(operation):
    slimmable = OPERATIONS[operation].slimmable(8)
    for inputs, outputs in PAIRS:
        with torch.utils.flop_counter.FlopCounterMode(display=False) as counter:
            slimmable(torch.rand(1, inputs, 1, 1), outputs)
        assert counter.get_total_flops() // 2 == operation_cost(operation, inputs, outputs)


@pytest.mark.parametrize("operation", OPERATIONS)
def test_gradients_reach_only_the_slices_in_use(operation):
    torch.manual_seed(0)
    slimmable = OPERATIONS[operation].slimmable(8)
    plain = OPERATIONS[operation].plain(4, 6)
    copy_slices(slimmable, plain)
    x = torch.randn(2, 4, 6, 5)
    slimmable(x, 6).square().sum().backward()
    plain(x).square().sum().backward()
    gradients = {name: weight.grad for name, weight in slimmable.named_parameters()}
    for name, weight in plain.named_parameters():
        inside = tuple(slice(size) for size in weight.shape)
        torch.testing.assert_close(gradients[name][inside], weight.grad)
        gradients[name][inside] = 0
        assert gradients[name].abs().max() == 0


@pytest.mark.parametrize("operation", OPERATIONS)
def test_output_grows_with_the_input(operation):
    torch.manual_seed(0)
    slimmable = OPERATIONS[operation].slimmable(8)
    x = torch.randn(2, 6, 6, 5)
    torch.testing.assert_close(slimmable(0.25 * x, 4), 0.25 * slimmable(x, 4))
