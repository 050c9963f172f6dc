from __future__ import annotations

import logging

import pytest
import torch
from torch import Tensor, nn

from corenas.cost import Cost, CostTable, count, human


def mixed_network() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(3, 8, 5, stride=2, padding=2),
        nn.BatchNorm2d(8),
        nn.PReLU(),
        nn.Conv2d(8, 8, 3, padding=1, groups=4, bias=False),
        nn.ConvTranspose2d(8, 6, 2, stride=2),
        nn.AdaptiveAvgPool2d(4),
        nn.Flatten(),
        nn.Linear(96, 10),
    )


@pytest.mark.parametrize(
    ("module", "shape", "params", "mult_adds"),
    [
        (nn.Conv2d(3, 16, 3, padding=1), (1, 3, 20, 30), 448, 3 * 16 * 9 * 600),
        (nn.Conv2d(3, 16, 3, padding=1, bias=False), (1, 3, 20, 30), 432, 3 * 16 * 9 * 600),
        (nn.Conv2d(8, 8, 3, stride=2, padding=1), (1, 8, 9, 9), 584, 8 * 8 * 9 * 25),
        (nn.Conv2d(8, 8, 7, padding=3, groups=8), (1, 8, 5, 5), 400, 8 * 49 * 25),
        (nn.Linear(12, 7), (1, 12), 91, 84),
        (nn.Linear(12, 7), (4, 12), 91, 4 * 84),
        (nn.PReLU(), (1, 8, 5, 5), 1, 0),
        (nn.Identity(), (1, 8, 5, 5), 0, 0),
    ],
)
def test_cost_equals_the_count_by_hand(
    module: nn.Module, shape: tuple[int, ...], params: int, mult_adds: int
) -> None:
    assert count(module, shape) == Cost(params, mult_adds, shape)


@pytest.mark.filterwarnings("ignore")  # fvcore traces the network, which torch deprecates
def test_mult_adds_equal_those_of_another_counter() -> None:
    from fvcore.nn import FlopCountAnalysis

    logging.getLogger("fvcore.nn.jit_analysis").setLevel(logging.ERROR)
    network = mixed_network().eval()
    flops = FlopCountAnalysis(network, torch.zeros(1, 3, 32, 24)).by_operator()
    reference = sum(number for operator, number in flops.items() if operator in ("conv", "linear"))
    assert count(network, (1, 3, 32, 24)).mult_adds == reference > 0


def test_several_inputs_are_counted_together() -> None:
    class Product(nn.Module):
        def forward(self, x: Tensor, y: Tensor) -> Tensor:
            return x @ y

    assert count(Product(), (5, 3), (3, 7)) == Cost(0, 5 * 3 * 7, (5, 3))


def test_frozen_parameters_are_computed_with_but_not_counted() -> None:
    network = nn.Sequential(nn.Conv2d(3, 8, 1), nn.Conv2d(8, 8, 1))
    network[0].requires_grad_(False)
    assert count(network, (1, 3, 4, 4)) == Cost(72, (24 + 64) * 16, (1, 3, 4, 4))


def test_shared_parameters_are_counted_once_and_computed_with_twice() -> None:
    layer = nn.Conv2d(8, 8, 1, bias=False)
    assert count(nn.Sequential(layer, layer), (1, 8, 4, 4)) == Cost(64, 2 * 64 * 16, (1, 8, 4, 4))


def test_double_precision_network_is_counted() -> None:
    assert count(nn.Linear(3, 3).double(), (1, 3)).mult_adds == 9


def test_network_is_counted_as_it_is_used_not_as_it_is_trained() -> None:
    normalised = nn.Sequential(nn.Conv2d(3, 8, 1), nn.BatchNorm2d(8))
    assert count(normalised, (1, 3, 1, 1)).mult_adds == 24  # too few values to train on


def test_reparametrised_weights_are_counted() -> None:
    layer = nn.utils.parametrizations.spectral_norm(nn.Conv2d(3, 8, 3))
    assert count(layer, (1, 3, 3, 3)) == Cost(224, 216, (1, 3, 3, 3))
    assert next(layer.parameters()).device.type == "cpu"


def test_counting_leaves_the_module_as_it_was() -> None:
    network = mixed_network().train()
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    addresses = [parameter.data_ptr() for parameter in network.parameters()]
    count(network, (1, 3, 32, 32))
    assert network.training
    assert addresses == [parameter.data_ptr() for parameter in network.parameters()]
    assert all(torch.equal(before[name], t) for name, t in network.state_dict().items())
    assert next(network.parameters()).device.type == "cpu"


def test_counting_copies_no_numbers_and_computes_nothing() -> None:
    network = nn.Linear(1, 1, bias=False)
    network.weight = nn.Parameter(torch.zeros(1, 1).expand(2**20, 2**20))  # four terabytes
    assert count(network, (2**20, 2**20)) == Cost(2**40, 2**60, (2**20, 2**20))


def test_table_builds_once_per_key_and_shape_and_without_storage() -> None:
    table, built = CostTable(), []

    def build() -> nn.Module:
        built.append(nn.Conv2d(2, 2, 1, bias=False))
        return built[-1]

    for _ in range(3):
        assert table.cost("conv1", (1, 2, 3, 3), build) == Cost(4, 36, (1, 2, 3, 3))
    assert len(built) == 1
    assert table.cost("conv1", (1, 2, 5, 5), build).mult_adds == 100
    assert table.cost("other", (1, 2, 5, 5), build).mult_adds == 100
    assert len(built) == 3
    assert built[0].weight.is_meta


@pytest.mark.parametrize(
    ("number", "decimals", "text"),
    [
        (0, 1, "0"),
        (432, 1, "432"),
        (999, 2, "999"),
        (1000, 1, "1.0 K"),
        (60_761, 1, "60.8 K"),
        (999_949, 1, "999.9 K"),
        (999_950, 1, "1.0 M"),
        (13_953_024_000, 2, "13.95 G"),
        (3_562_905_600, 2, "3.56 G"),
        (4 * 10**17, 2, "400.00 P"),
    ],
)
def test_human_number(number: int, decimals: int, text: str) -> None:
    assert human(number, decimals=decimals) == text


def test_cost_reads_as_papers_write_it() -> None:
    cost = Cost(60_761, 13_953_024_000, (1, 3, 360, 640))
    assert str(cost) == "60.8 K parameters, 13.95 G mult-adds at 1x3x360x640"
