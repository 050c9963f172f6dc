from __future__ import annotations

import subprocess
import sys

import pytest
import torch
from torch import Tensor, nn

from corenas.cost import count
from corenas.errors import ConfigError, InputError
from corenas.options.structuring import Chosen, choose, structure
from corenas.testing.contracts import OperationContract
from corenas_sr.models.kernels import DepthwiseConv2d, PReLU, plain_copy
from corenas_tpsr._catalogue import OPERATIONS
from corenas_tpsr.generator.config import (
    OPERATION_NAMES,
    GeneratorSpaceConfig,
    GroupedConvolutionConfig,
    SqueezeExciteConfig,
)

CHANNELS = 16

# Mult-adds per low-resolution pixel and parameters without the node's PReLU, for 16 channels.
TABLE = {
    "conv1": (256, 272),
    "conv3": (2304, 2320),
    "conv5": (6400, 6416),
    "conv7": (12544, 12560),
    "gconv3": (576, 592),
    "gconv5": (1600, 1616),
    "gconv7": (3136, 3152),
    "dsep3": (400, 417),
    "dsep5": (656, 673),
    "dsep7": (1040, 1057),
    "inv3": (1312, 1394),
    "inv5": (1824, 1906),
    "inv7": (2592, 2674),
    "se": (0, 128),
    "ca": (0, 49),
    "identity": (0, 0),
}
# Mult-adds per image, whatever its size: the gates' hidden layers.
PER_IMAGE = {"se": 2 * 16 * 4, "ca": 2 * 16 * 1}


@pytest.fixture(autouse=True)
def seeded() -> None:
    torch.manual_seed(0)


def operation(name: str, **options: int) -> Chosen:
    chosen = choose("operations", name)
    return Chosen("operations", name, type(chosen.config)(**options), chosen.component)


def image(*, batch: int = 2, channels: int = CHANNELS) -> Tensor:
    return torch.randn(batch, channels, 9, 8, generator=torch.Generator().manual_seed(0))


def test_the_sixteen_are_offered_in_the_order_of_the_table() -> None:
    assert tuple(component.name for component in OPERATIONS) == OPERATION_NAMES == tuple(TABLE)


@pytest.mark.parametrize("name", TABLE)
def test_cost_is_that_of_the_table(name: str) -> None:
    mult_adds, params = TABLE[name]
    cost = count(operation(name).build(CHANNELS), (1, CHANNELS, 9, 8))
    assert cost.params == params
    assert cost.mult_adds == mult_adds * 72 + PER_IMAGE.get(name, 0)


def test_residual_reading_of_the_attention_block_costs_two_convolutions_and_the_gate() -> None:
    module = operation("rcab").build(CHANNELS)
    cost = count(module, (1, CHANNELS, 9, 8))
    assert cost.mult_adds == 4608 * 72 + PER_IMAGE["ca"]
    assert cost.params == 2 * TABLE["conv3"][1] + TABLE["ca"][1]
    x = image()
    inside = module.second(torch.relu(module.first(x)))
    torch.testing.assert_close(module(x), x + module.gate(inside))


def test_an_operation_beside_the_sixteen_is_added_by_name() -> None:
    config = structure(GeneratorSpaceConfig, {"operations": [*OPERATION_NAMES, "rcab"]})
    assert [chosen.name for chosen in config.operations] == [*OPERATION_NAMES, "rcab"]


@pytest.mark.parametrize("name", TABLE)
def test_shape_is_kept_and_everything_trains(name: str) -> None:
    module, x = operation(name).build(CHANNELS), image().requires_grad_()
    y = module(x)
    assert y.shape == x.shape
    y.square().sum().backward()
    for parameter in module.parameters():
        assert parameter.grad is not None
        assert parameter.grad.isfinite().all()


@pytest.mark.parametrize("name", ["dsep3", "dsep5", "dsep7", "inv3", "inv5", "inv7"])
def test_fast_modules_compute_what_torchs_own_do(name: str) -> None:
    module = operation(name).build(CHANNELS)
    assert {DepthwiseConv2d, PReLU} <= {type(m) for m in module.modules()}
    torch.testing.assert_close(module(image()), plain_copy(module)(image()))


def test_separable_convolution_has_no_bias_before_its_prelu() -> None:
    depthwise, activation, pointwise = operation("dsep5").build(CHANNELS)
    assert depthwise.bias is None
    assert activation.num_parameters == 1
    assert pointwise.bias is not None


def test_inverted_block_adds_its_input() -> None:
    block, x = operation("inv3").build(CHANNELS), image()
    nn.init.zeros_(block.body[-1].weight)
    nn.init.zeros_(block.body[-1].bias)
    assert torch.equal(block(x), x)


def test_squeeze_excite_is_hus_gate() -> None:
    block, x = operation("se").build(CHANNELS), image()
    mean = x.mean((2, 3))
    hidden = (mean @ block.squeeze.weight.T).clamp(min=0)
    gate = 1 / (1 + torch.exp(-hidden @ block.excite.weight.T))
    torch.testing.assert_close(block(x), torch.einsum("nchw,nc->nchw", x, gate))


def test_channel_attention_is_rcans_gate() -> None:
    block, x = operation("ca", reduction=4).build(CHANNELS), image()
    mean = x.mean((2, 3))
    hidden = (mean @ block.squeeze.weight[:, :, 0, 0].T + block.squeeze.bias).clamp(min=0)
    assert hidden.shape == (2, 4)
    logit = hidden @ block.excite.weight[:, :, 0, 0].T + block.excite.bias
    gate = 1 / (1 + torch.exp(-logit))
    torch.testing.assert_close(block(x), torch.einsum("nchw,nc->nchw", x, gate))


def test_gates_keep_one_hidden_unit_where_there_are_few_channels() -> None:
    for name, reduction in (("se", 64), ("ca", 16)):
        block = operation(name, reduction=reduction).build(8)
        assert block(image(channels=8)).shape == (2, 8, 9, 8)
        assert block.squeeze.weight.shape[0] == 1


def test_identity_gives_back_its_input() -> None:
    x = image()
    assert operation("identity").build(CHANNELS)(x) is x


def test_groups_do_not_mix() -> None:
    module, x = operation("gconv3", groups=2).build(4), image(channels=4)
    changed = x.clone()
    changed[:, 2:] += 1
    assert torch.equal(module(x)[:, :2], module(changed)[:, :2])
    assert not torch.allclose(module(x)[:, 2:], module(changed)[:, 2:])


def test_options_change_the_cost_as_the_formulas_say() -> None:
    def params(name: str, **options: int) -> int:
        return count(operation(name, **options).build(CHANNELS), (1, CHANNELS, 3, 3)).params

    assert params("gconv5", groups=8) == 16 * 16 * 25 // 8 + 16
    assert params("inv3", expansion=3) == (16 * 48 + 48) + (48 * 9 + 48) + (48 * 16 + 16) + 2
    assert params("se", reduction=2) == 2 * 16 * 8
    assert params("ca", reduction=8) == (16 * 2 + 2) + (2 * 16 + 16)


@pytest.mark.parametrize("name", ["gconv3", "gconv5", "gconv7"])
def test_channels_that_groups_do_not_divide_are_refused(name: str) -> None:
    with pytest.raises(InputError, match=f"{name}: 10 channels do not divide into 4 groups"):
        operation(name).build(10)


def test_option_out_of_range_is_refused_with_its_path() -> None:
    with pytest.raises(ConfigError, match="groups: must be at least 1, got 0"):
        GroupedConvolutionConfig(groups=0)
    layer = {"operations": ["conv1", {"use": "se", "reduction": 0}]}
    with pytest.raises(ConfigError, match=r"operations\[1\]\.reduction: must be at least 1, got 0"):
        structure(GeneratorSpaceConfig, layer)


def test_options_of_an_operation_reach_the_space() -> None:
    config = structure(GeneratorSpaceConfig, {"operations": [{"use": "se", "reduction": 2}]})
    assert config.operations[0].config == SqueezeExciteConfig(reduction=2)


def test_operations_are_described_without_importing_torch() -> None:
    code = (
        "import sys; import corenas_tpsr._catalogue, corenas_tpsr.generator.config as s; "
        "s.GeneratorSpaceConfig(); sys.exit('torch' in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


class Named(OperationContract):
    @pytest.fixture(autouse=True)
    def _name(self, name: str) -> None:
        self.name = name

    def make(self, channels: int) -> nn.Module:
        module: nn.Module = choose("operations", self.name).build(channels)
        return module


@pytest.mark.parametrize("name", ["conv3", "gconv3", "dsep3", "inv3", "se", "ca", "rcab"])
class TestOperation(Named): ...


@pytest.mark.parametrize("name", ["reduce-conv3", "reduce-gconv3"])
class TestReduction(Named):
    reduction = True
