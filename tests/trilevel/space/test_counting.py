import pytest
import torch
from spandrel.architectures.ESRGAN.__arch.RRDB import RRDBNet
from torch import nn

from corenas.errors import InputError
from corenas_trilevel.space import operations
from corenas_trilevel.space.config import TrilevelAConfig, TrilevelBConfig
from corenas_trilevel.space.counting import count
from corenas_trilevel.space.space import TrilevelSpace


def table_1(**options: bool) -> nn.Module:
    space = TrilevelSpace(TrilevelAConfig(**options))
    return on_meta(space, "trilevel-a/table-1")


def table_3() -> nn.Module:
    return on_meta(TrilevelSpace(TrilevelBConfig()), "trilevel-b/table-3")


def on_meta(space: TrilevelSpace, name: str) -> nn.Module:
    with torch.device("meta"):
        return space.build(space.known[name])


def test_table_1_costs_what_the_paper_prints():
    cost = count(table_1(), convention="paper")
    assert cost.mult_adds == 117_083_996_160 + 158_334_976 + 150_994_944
    assert round(cost.mult_adds / 1e9, 4) == 117.3933
    assert cost.params == 377_283
    true = count(table_1())
    assert (true.params, true.mult_adds) == (372_355, 117_083_996_160)


def test_table_1_has_the_printed_parameters_if_both_enlargements_are_one_module():
    cost = count(table_1(share_up=True), convention="paper")
    assert (cost.params, cost.mult_adds) == (340_355, 117_393_326_080)
    assert count(table_1(share_up=True)).params == 335_427


def test_table_3_costs_what_the_paper_prints():
    cost = count(table_3(), convention="paper")
    assert cost.mult_adds == 33_351_008_256 + 11_534_336
    assert round(cost.mult_adds / 1e9, 4) == 33.3625
    assert cost.params == 519_392
    true = count(table_3())
    assert (true.params, true.mult_adds) == (509_072, 33_351_008_256)


def test_esrgan_costs_what_the_paper_prints():
    with torch.device("meta"):
        esrgan = RRDBNet(num_filters=64, num_blocks=23, scale=4)
    cost = count(esrgan, convention="paper")
    assert cost.params == 16_697_987
    assert cost.mult_adds == 1_174_853_910_528 + 1_030_750_208 + 729_808_896
    assert count(esrgan).mult_adds == 1_174_853_910_528


@pytest.mark.parametrize(("expansion", "first", "third"), [(2, 115.33, 26.96), (6, 119.46, 39.77)])
def test_another_expansion_would_not_give_the_papers_numbers(monkeypatch, expansion, first, third):
    monkeypatch.setattr(operations, "EXPANSION", expansion)
    for network, expected in ((table_1(), first), (table_3(), third)):
        assert count(network, convention="paper").mult_adds / 1e9 == pytest.approx(
            expected, abs=0.01
        )


def test_skip_convolutions_everywhere_would_not_give_the_papers_numbers(monkeypatch):
    def always(inputs: int, outputs: int) -> nn.Module:
        return nn.Conv2d(inputs, outputs, 1, bias=False)

    monkeypatch.setattr(operations, "_skip", always)
    for network, expected in ((table_1(), 117.46), (table_3(), 33.63)):
        assert count(network, convention="paper").mult_adds / 1e9 == pytest.approx(
            expected, abs=0.01
        )


def test_mult_adds_scale_with_the_pixels():
    for convention in ("true", "paper"):
        small = count(table_3(), size=(16, 24), convention=convention)
        large = count(table_3(), size=(32, 24), convention=convention)
        assert large.mult_adds == 2 * small.mult_adds
        assert large.params == small.params
        assert large.input == (1, 3, 32, 24)


def test_paper_counts_biases_leaky_relus_and_absent_norms():
    network = nn.Sequential(
        nn.Conv2d(3, 5, 3, padding=1, bias=False), nn.LeakyReLU(), nn.Conv2d(5, 2, 1), nn.ReLU()
    )
    cost = count(network, size=(4, 6), convention="paper")
    assert cost.mult_adds == 24 * (3 * 5 * 9 + 5 + 5 * 2 + 2)
    assert cost.params == (3 * 5 * 9 + 2 * 5) + (5 * 2 + 2)
    assert count(network, size=(4, 6)).mult_adds == 24 * (3 * 5 * 9 + 5 * 2)


def test_counting_leaves_the_network_as_it_is():
    network = nn.Sequential(nn.Conv2d(3, 4, 1), nn.LeakyReLU())
    before = {name: weight.clone() for name, weight in network.state_dict().items()}
    count(network, convention="paper")
    assert network[0].weight.device.type == "cpu"
    assert all(torch.equal(weight, before[name]) for name, weight in network.state_dict().items())
    assert not any(layer._forward_hooks for layer in network.modules())


def test_a_layer_that_the_convention_does_not_know_is_named():
    network = nn.Sequential(nn.Conv2d(3, 4, 1), nn.PReLU())
    with pytest.raises(InputError, match=r"^1: the paper's way of counting knows no PReLU"):
        count(network, convention="paper")
    assert not any(layer._forward_hooks for layer in network.modules())


def test_unknown_convention_is_refused():
    with pytest.raises(ValueError, match="convention must be 'true' or 'paper', got 'thop'"):
        count(nn.Conv2d(3, 4, 1), convention="thop")
