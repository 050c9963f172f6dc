from __future__ import annotations

import copy
import io
import pickle
from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.autograd import gradcheck, gradgradcheck
from torch.nn.utils.parametrizations import spectral_norm

from corenas.cost import count
from corenas_sr.models.kernels import DepthwiseConv2d, PReLU, plain_copy

Layout = Callable[[Tensor], Tensor]

LAYOUTS: dict[str, Layout] = {
    "contiguous": lambda x: x.contiguous(),
    "channels_last": lambda x: x.contiguous(memory_format=torch.channels_last),
    "transposed": lambda x: x.transpose(2, 3).contiguous().transpose(2, 3),
    "strided": lambda x: torch.stack((x, x), -1).flatten(-2)[..., ::2],
    "expanded": lambda x: x[:1].expand_as(x),
}
SLOPES = (0.25, 0.0, -0.5, 1.0, 1.0 - 1e-12, 1.0 + 1e-7, 2.0)


@pytest.fixture(autouse=True)
def seeded() -> None:
    torch.manual_seed(0)


def random(*shape: int, dtype: torch.dtype = torch.float64, seed: int = 0) -> Tensor:
    return torch.randn(shape, dtype=dtype, generator=torch.Generator().manual_seed(seed))


def prelu(slope: float, dtype: torch.dtype = torch.float64) -> PReLU:
    return PReLU(init=slope).to(dtype)


def is_fast(y: Tensor) -> bool:
    return y.grad_fn is not None and y.grad_fn.name() in (
        "_SingleSlopePReLUBackward",
        "_DepthwiseBackward",
    )


def gradients(module: nn.Module, x: Tensor, grad: Tensor) -> list[Tensor]:
    x = x.detach().requires_grad_()
    y = module(x)
    return [y, *torch.autograd.grad(y, [x, *module.parameters()], grad)]


def functional(module: nn.Module, layout: str = "contiguous") -> Callable[..., Tensor]:
    """Return the module as a function of its input and its parameters, for gradcheck."""
    names = [name for name, _ in module.named_parameters()]

    def call(x: Tensor, *parameters: Tensor) -> Tensor:
        named = dict(zip(names, parameters, strict=True))
        y: Tensor = torch.func.functional_call(module, named, (LAYOUTS[layout](x),))
        assert is_fast(y)
        return y

    return call


@pytest.mark.parametrize("slope", SLOPES)
@pytest.mark.parametrize("layout", LAYOUTS)
def test_prelu_gradients_are_right_in_every_layout(slope: float, layout: str) -> None:
    x, module = random(2, 3, 4, 5).requires_grad_(), prelu(slope)
    assert gradcheck(functional(module, layout), (x, module.weight), fast_mode=True)


@pytest.mark.parametrize("slope", SLOPES)
def test_prelu_differentiates_once_and_twice(slope: float) -> None:
    x, module = random(1, 2, 3, 2).requires_grad_(), prelu(slope)
    assert gradcheck(functional(module), (x, module.weight))
    assert gradgradcheck(functional(module), (x, module.weight))


@pytest.mark.parametrize("slope", SLOPES)
@pytest.mark.parametrize("layout", LAYOUTS)
def test_prelu_equals_torchs_also_at_zero_infinity_and_nan(slope: float, layout: str) -> None:
    x, grad = random(4, 3, 6, 6), random(4, 3, 6, 6, seed=1)
    x[0, 0, 0, :5] = torch.tensor([0.0, -0.0, torch.inf, -torch.inf, torch.nan])
    grad[0, 0, 0, 3] = 0.5
    fast, plain = (
        gradients(module, LAYOUTS[layout](x), grad)
        for module in (prelu(slope), plain_copy(prelu(slope)))
    )
    for ours, theirs in zip(fast, plain, strict=True):
        torch.testing.assert_close(ours, theirs, equal_nan=True)


def test_prelu_forward_is_bit_equal_to_torchs_in_single_precision() -> None:
    x = random(8, 4, 9, 9, dtype=torch.float32)
    assert torch.equal(prelu(0.3, torch.float32)(x), nn.PReLU(init=0.3)(x))


@pytest.mark.parametrize("kernel_size", [3, 5, 7])
@pytest.mark.parametrize("batch", [1, 2])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_depthwise_gradients_are_right(kernel_size: int, batch: int, layout: str) -> None:
    module = DepthwiseConv2d(2, kernel_size).double()
    inputs = (random(batch, 2, 4, 5).requires_grad_(), module.weight, module.bias)
    assert gradcheck(functional(module, layout), inputs, fast_mode=True)


@pytest.mark.parametrize("kernel_size", [3, 5])
def test_depthwise_differentiates_twice(kernel_size: int) -> None:
    module = DepthwiseConv2d(2, kernel_size, bias=False).double()
    x = random(2, 2, 3, 2).requires_grad_()
    assert gradgradcheck(functional(module), (x, module.weight), fast_mode=True)


@pytest.mark.parametrize("kernel_size", [1, 3, 5, 7])
@pytest.mark.parametrize(("batch", "bias"), [(1, True), (6, True), (6, False)])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_depthwise_equals_torchs(kernel_size: int, batch: int, bias: bool, layout: str) -> None:
    module = DepthwiseConv2d(8, kernel_size, bias=bias)
    x = LAYOUTS[layout](random(batch, 8, 12, 10, dtype=torch.float32))
    grad = LAYOUTS[layout](random(batch, 8, 12, 10, dtype=torch.float32, seed=1))
    fast, plain = gradients(module, x, grad), gradients(plain_copy(module), x, grad)
    assert is_fast(fast[0])
    for ours, theirs in zip(fast, plain, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-4)


def test_image_smaller_than_the_filter_is_filtered_as_torch_does() -> None:
    module, x, grad = DepthwiseConv2d(3, 7).double(), random(2, 3, 2, 1), random(2, 3, 2, 1)
    for ours, theirs in zip(
        gradients(module, x, grad), gradients(plain_copy(module), x, grad), strict=True
    ):
        torch.testing.assert_close(ours, theirs)


def test_only_wanted_gradients_are_computed() -> None:
    for module in (prelu(0.25), DepthwiseConv2d(2, 5).double()):
        module.requires_grad_(False)
        x = random(1, 2, 4, 4).requires_grad_()
        module(x).sum().backward()
        assert x.grad is not None
        module.requires_grad_(True)
        module(x.detach()).sum().backward()
        assert all(parameter.grad is not None for parameter in module.parameters())


def test_slope_changed_between_forward_and_backward_is_an_error() -> None:
    module = prelu(0.25)
    y = module(random(2, 2).requires_grad_()).sum()
    with torch.no_grad():
        module.weight.fill_(0.5)
    with pytest.raises(RuntimeError, match="inplace"):
        y.backward()


@pytest.mark.parametrize("module", [PReLU(), DepthwiseConv2d(4, 5)], ids=["prelu", "depthwise"])
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_is_torchs_own(module: nn.Module, dtype: torch.dtype) -> None:
    module, x = copy.deepcopy(module).to(dtype), random(2, 4, 6, 6, dtype=torch.float32).to(dtype)
    y = module(x)
    assert y.dtype == dtype
    assert not is_fast(y)


@pytest.mark.parametrize("module", [PReLU(), DepthwiseConv2d(4, 5)], ids=["prelu", "depthwise"])
def test_autocast_is_torchs_own(module: nn.Module) -> None:
    x = random(2, 4, 6, 6, dtype=torch.float32)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        y, theirs = module(x), plain_copy(module)(x)
    assert not is_fast(y)
    assert torch.equal(y, theirs)
    assert y.dtype == theirs.dtype


def test_several_slopes_are_torchs_own() -> None:
    module, x = PReLU(4), random(2, 4, 6, 6, dtype=torch.float32)
    assert not is_fast(module(x))
    assert torch.equal(module(x), F.prelu(x, module.weight))


@pytest.mark.parametrize("shape", [(4, 6, 6), (0, 4, 6, 6)], ids=["no batch", "empty batch"])
def test_unusual_batches_are_torchs_own(shape: tuple[int, ...]) -> None:
    module, x = DepthwiseConv2d(4, 5), random(*shape, dtype=torch.float32)
    ours, theirs = (gradients(each, x, torch.ones(shape)) for each in (module, plain_copy(module)))
    assert not is_fast(ours[0])
    for each, expected in zip(ours, theirs, strict=True):
        assert torch.equal(each, expected)


@pytest.mark.parametrize("module", [PReLU(), DepthwiseConv2d(4, 5)], ids=["prelu", "depthwise"])
def test_function_transforms_are_torchs_own(module: nn.Module) -> None:
    module = copy.deepcopy(module).double()
    parameters = {name: tensor.detach() for name, tensor in module.named_parameters()}
    images = random(3, 2, 4, 5, 5)

    def loss(named: dict[str, Tensor], x: Tensor) -> Tensor:
        y: Tensor = torch.func.functional_call(module, named, (x,))
        return y.square().sum()

    each = torch.func.vmap(torch.func.grad(loss), in_dims=(None, 0))(parameters, images)
    for i, x in enumerate(images):
        expected = torch.autograd.grad(
            loss(dict(module.named_parameters()), x), list(module.parameters())
        )
        for name, gradient in zip(parameters, expected, strict=True):
            torch.testing.assert_close(each[name][i], gradient)


@pytest.mark.filterwarnings("ignore:.*torch.jit.trace")
def test_trace_reads_the_slope_when_it_runs() -> None:
    module, x = PReLU(), random(2, 4, 6, 6, dtype=torch.float32)
    traced = torch.jit.trace(module, x)
    with torch.no_grad():
        traced.weight.fill_(0.75)
    torch.testing.assert_close(traced(x), F.leaky_relu(x, 0.75))


def test_compiler_and_export_see_torchs_own_operators() -> None:
    network = nn.Sequential(DepthwiseConv2d(4, 3), PReLU())
    x, seen = random(2, 4, 6, 6, dtype=torch.float32), []

    def backend(graph: torch.fx.GraphModule, _: list[Tensor]) -> Callable[..., object]:
        seen.append(graph.code)
        return graph.forward

    compiled = torch.compile(network, fullgraph=True, backend=backend)
    torch.testing.assert_close(compiled(x), network(x))
    exported = torch.export.export(network, (x,), strict=False)
    torch.testing.assert_close(exported.module()(x), network(x))
    for code in (*seen, exported.graph_module.code):
        assert "prelu" in code
        assert "conv2d" in code


def test_tensors_without_numbers_are_torchs_own() -> None:
    with FakeTensorMode():
        assert PReLU()(torch.empty(2, 3)).shape == (2, 3)


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (PReLU(), nn.PReLU()),
        (DepthwiseConv2d(6, 5), nn.Conv2d(6, 6, 5, padding=2, groups=6)),
        (DepthwiseConv2d(6, 3, bias=False), nn.Conv2d(6, 6, 3, padding=1, groups=6, bias=False)),
    ],
)
def test_state_is_exchanged_with_torchs_own_modules(ours: nn.Module, theirs: nn.Module) -> None:
    file = io.BytesIO()
    torch.save(theirs.state_dict(), file)
    file.seek(0)
    ours.load_state_dict(torch.load(file, weights_only=True))
    theirs.load_state_dict(ours.state_dict())
    assert isinstance(ours, type(theirs))
    x = random(2, 6, 7, 7, dtype=torch.float32)
    torch.testing.assert_close(ours(x), theirs(x))


@pytest.mark.parametrize("kernel_size", [2, 0, -3])
def test_filter_without_a_centre_is_refused(kernel_size: int) -> None:
    with pytest.raises(ValueError, match=f"odd and positive, got {kernel_size}"):
        DepthwiseConv2d(4, kernel_size)


def test_wrong_number_of_channels_is_refused() -> None:
    with pytest.raises(RuntimeError, match="channels"):
        DepthwiseConv2d(4, 3)(torch.zeros(1, 5, 6, 6))


def test_spectral_norm_makes_one_power_iteration_per_pass_as_with_torchs_own() -> None:
    ours, theirs = DepthwiseConv2d(3, 5), nn.Conv2d(3, 3, 5, padding=2, groups=3)
    for module in (ours, theirs):
        spectral_norm(module.double())
    theirs.load_state_dict(ours.state_dict())
    x = random(2, 3, 6, 6)
    for y, expected in zip(gradients(ours, x, x), gradients(theirs, x, x), strict=True):
        torch.testing.assert_close(y, expected)
    for name, tensor in ours.state_dict().items():
        assert torch.equal(tensor, theirs.state_dict()[name]), name


def test_plain_copy_holds_the_same_numbers_in_torchs_own_modules() -> None:
    network = nn.Sequential(nn.Sequential(DepthwiseConv2d(4, 5), PReLU()), nn.Conv2d(4, 4, 1))
    network = network.to(memory_format=torch.channels_last).eval()
    plain = plain_copy(network)
    assert {type(m) for m in plain.modules()} == {nn.Sequential, nn.Conv2d, nn.PReLU}
    assert not any(module.training for module in plain.modules())
    assert plain.state_dict().keys() == network.state_dict().keys()
    for ours, theirs in zip(network.parameters(), plain.parameters(), strict=True):
        assert torch.equal(ours, theirs)
        assert ours.data_ptr() != theirs.data_ptr()
        assert theirs.requires_grad
    assert isinstance(network[0][1], PReLU)


def test_plain_copy_keeps_what_is_frozen_and_what_is_shared() -> None:
    shared = PReLU().requires_grad_(False)
    plain = plain_copy(nn.Sequential(shared, nn.Sequential(shared), shared))
    assert not any(isinstance(module, PReLU) for module in plain.modules())
    assert len(list(plain.parameters())) == 1
    assert not plain[0].weight.requires_grad
    assert type(plain_copy(shared)) is nn.PReLU


def test_modules_survive_pickling() -> None:
    network = nn.Sequential(DepthwiseConv2d(4, 5), PReLU())
    x = random(1, 4, 6, 6, dtype=torch.float32)
    assert torch.equal(pickle.loads(pickle.dumps(network))(x), network(x))


def test_cost_is_that_of_torchs_own_modules() -> None:
    network = nn.Sequential(DepthwiseConv2d(4, 5), PReLU(), DepthwiseConv2d(4, 3, bias=False))
    cost = count(network, (1, 4, 6, 7))
    assert cost == count(plain_copy(network), (1, 4, 6, 7))
    assert (cost.params, cost.mult_adds) == (104 + 1 + 36, 4 * (25 + 9) * 42)
