from __future__ import annotations

import logging
import math
import pickle
import random
from collections.abc import Iterator

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from corenas.cost import count
from corenas.errors import ConfigError, InputError
from corenas.options.structuring import choose, structure
from corenas.protocols import SearchSpace
from corenas.testing.contracts import SearchSpaceContract
from corenas.testing.installed import InstallPlugin
from corenas.training.networks import carry_over
from corenas.values.architecture import Architecture
from corenas_sr.models.kernels import PReLU, plain_copy
from corenas_tpsr.generator.config import OPERATION_NAMES, GeneratorSpaceConfig
from corenas_tpsr.generator.network import RGB_MEAN, Generator, leaves
from corenas_tpsr.generator.space import PAPER_CELL, GeneratorSpace

SIZES = {2: (360, 640), 4: (180, 320)}  # height and width whose output is 1280x720
PIXELS = 360 * 640


def space(**options: object) -> GeneratorSpace:
    return GeneratorSpace(structure(GeneratorSpaceConfig, options))


def paper(scale: int = 2) -> tuple[GeneratorSpace, Architecture]:
    made = space(scale=scale)
    return made, made.known["tpsr/paper"]


def chain(*names: str) -> list[list[str | int]]:
    return [[name, node] for node, name in enumerate(names)]


def drawn(made: GeneratorSpace, seed: int) -> Architecture:
    draw = random.Random(seed)
    return Architecture(made.name, {d.name: draw.choice(d.options) for d in made.decisions})


def images(*shape: int, dtype: torch.dtype = torch.float32) -> Tensor:
    return torch.rand(shape, dtype=dtype, generator=torch.Generator().manual_seed(0)) * 255


@pytest.fixture(autouse=True)
def seeded() -> None:
    torch.manual_seed(0)


class TestGeneratorSpace(SearchSpaceContract):
    @pytest.fixture(params=[2, 4])
    def space(self, request: pytest.FixtureRequest) -> SearchSpace:
        return space(scale=request.param)


@pytest.fixture
def double() -> Iterator[None]:
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


@pytest.mark.parametrize(
    ("scale", "params", "mult_adds"), [(2, 60_761, 13_953_024_000), (4, 61_097, 3_562_905_600)]
)
def test_discovered_cell_costs_what_the_paper_says(scale: int, params: int, mult_adds: int) -> None:
    made, architecture = paper(scale)
    height, width = SIZES[scale]
    cost = made.cost(architecture, height=height, width=width)
    assert (cost.params, cost.mult_adds, cost.input) == (params, mult_adds, (1, 3, height, width))
    assert cost == count(made.build(architecture), (1, 3, height, width))


def fill(generator: Generator) -> None:
    """Fill all parameters with 0.1 sin(k), k counting numbers; slopes count but are 0.25.

    They are taken head first, then node by node, merge and up-samplers, each module's own in the
    order of its attributes.
    """
    parts = [generator.head, *generator.nodes, generator.merge, generator.up1, generator.up2]
    modules = [module for part in parts if part is not None for module in part.modules()]
    counter = 0
    with torch.no_grad():
        for module in modules:
            for parameter in module.parameters(recurse=False):
                numbers = torch.arange(counter, counter + parameter.numel(), dtype=torch.float64)
                counter += parameter.numel()
                values = (0.1 * torch.sin(numbers)).view_as(parameter)
                parameter.copy_(torch.tensor(0.25) if isinstance(module, nn.PReLU) else values)


@pytest.mark.usefixtures("double")
@pytest.mark.parametrize(
    ("scale", "total", "mean", "values"),
    [
        (2, 84194.294916618, 109.627988173, (115.755835855, 118.785608790, 92.053435096)),
        (4, 336826.787260389, 109.644136478, (113.372812517, 113.395037719, 104.710199921)),
    ],
)
def test_discovered_cell_computes_the_published_topology(
    scale: int, total: float, mean: float, values: tuple[float, float, float]
) -> None:
    made, architecture = paper(scale)
    generator = made.build(architecture)
    fill(generator)
    x = (7 * torch.arange(3 * 8 * 8) % 256).double().view(1, 3, 8, 8)
    y = generator(x)
    assert y.shape == (1, 3, 8 * scale, 8 * scale)
    assert y.sum().item() == pytest.approx(total, abs=1e-6)
    assert y.abs().mean().item() == pytest.approx(mean, abs=1e-6)
    picked = (y[0, 0, 0, 0].item(), y[0, 1, 3, 5].item(), y[0, 2, -1, -1].item())
    assert picked == pytest.approx(values, abs=1e-6)


def by_hand(generator: Generator, cell: list[tuple[str, int]], x: Tensor) -> Tensor:
    """Compute what the template says, node by node."""
    mean = torch.tensor(RGB_MEAN).view(1, 3, 1, 1)
    outputs = {0: F.conv2d(x - mean, generator.head.weight, generator.head.bias, padding=1)}
    for node, (_, source) in enumerate(cell, start=1):
        operation, activation = generator.nodes[node - 1]
        outputs[node] = F.prelu(operation(outputs[source]), activation.weight)
    used = {source for _, source in cell}
    y = sum(output for node, output in outputs.items() if node and node not in used)
    if len(set(outputs) - used - {0}) > 1:
        y = F.prelu(y, generator.merge.weight)
    for up in filter(None, (generator.up1, generator.up2)):
        y = F.pixel_shuffle(F.conv2d(y, up.weight, up.bias, padding=1), 2)
    return y + mean


@pytest.mark.parametrize("seed", range(6))
def test_random_cells_compute_the_template(seed: int) -> None:
    made = space(scale=(2, 4)[seed % 2])
    architecture = drawn(made, seed)
    cell = [(name, int(source)) for name, source in made.format(architecture)]
    generator, x = made.build(architecture), images(2, 3, 6, 7)
    torch.testing.assert_close(generator(x), by_hand(generator, cell, x))


@pytest.mark.parametrize(
    ("sources", "expected"),
    [
        ([source for _, source in PAPER_CELL], (7, 9, 10)),
        ([0], (1,)),
        ([0, 1, 2], (3,)),
        ([0, 0, 0], (1, 2, 3)),
        ([0, 1, 1], (2, 3)),
    ],
)
def test_leaves_are_the_outputs_that_nobody_uses(
    sources: list[int], expected: tuple[int, ...]
) -> None:
    assert leaves(sources) == expected


def test_single_leaf_has_no_merge_activation_unless_wanted() -> None:
    one_leaf = chain("conv1", "conv3")
    for wanted, kind, params in ((False, nn.Identity, 0), (True, PReLU, 1)):
        made = space(nodes=2, merge_single_leaf=wanted)
        architecture = made.parse(one_leaf)
        generator = made.build(architecture)
        assert type(generator.merge) is kind
        assert sum(p.numel() for p in generator.merge.parameters()) == params
        assert made.cost(architecture, height=4, width=4) == count(generator, (1, 3, 4, 4))


def test_several_leaves_are_merged_by_one_slope() -> None:
    made = space(nodes=2)
    generator = made.build(made.parse([["conv1", 0], ["conv3", 0]]))
    assert isinstance(generator.merge, PReLU)
    assert generator.merge.weight.tolist() == [0.25]


@pytest.mark.parametrize("scale", [2, 4])
@pytest.mark.parametrize("seed", range(4))
def test_remembered_cost_equals_that_of_the_whole_network(scale: int, seed: int) -> None:
    made = space(scale=scale)
    architecture = drawn(made, seed)
    whole = count(made.build(architecture), (1, 3, 10, 14))
    assert made.cost(architecture, height=10, width=14) == whole


@pytest.mark.filterwarnings("ignore")  # fvcore traces the network, which torch deprecates
def test_cost_equals_that_of_another_counter() -> None:
    from fvcore.nn import FlopCountAnalysis

    logging.getLogger("fvcore.nn.jit_analysis").setLevel(logging.ERROR)
    made = space()
    cell = [[name, node % 3 if node > 2 else 0] for node, name in enumerate(OPERATION_NAMES[:10])]
    for architecture in (made.parse(cell), made.known["tpsr/paper"]):
        flops = FlopCountAnalysis(made.build(architecture).eval(), images(1, 3, 12, 10))
        expected = sum(flops.by_operator()[operator] for operator in ("conv", "linear"))
        assert made.cost(architecture, height=12, width=10).mult_adds == expected


def test_operations_are_counted_once(monkeypatch: pytest.MonkeyPatch) -> None:
    made = space()
    for name in OPERATION_NAMES:
        made.cost(made.parse(chain(*10 * [name])), height=360, width=640)
    made.cost(made.known["tpsr/paper"], height=360, width=640)
    expected = made.cost(drawn(made, 0), height=360, width=640)
    monkeypatch.delattr("corenas.cost.FlopCounterMode")
    assert made.cost(drawn(made, 0), height=360, width=640) == expected
    with pytest.raises(NameError):
        made.cost(drawn(made, 0), height=361, width=640)


def mult_adds_of_uniform_cells() -> dict[str, int]:
    """Return what a cell of ten times the same operation costs at 1280x720 output and ×2."""
    made = space()
    return {
        name: made.cost(made.parse(chain(*10 * [name])), height=360, width=640).mult_adds
        for name in OPERATION_NAMES
    }


@pytest.mark.parametrize(("scale", "fixed"), [(2, 2160), (4, 3456)])
def test_fixed_parts_cost_what_the_table_says(scale: int, fixed: int) -> None:
    made = space(scale=scale)
    cost = made.cost(made.parse(chain(*10 * ["identity"])), height=5, width=6)
    assert cost.mult_adds == fixed * 30


def test_uniform_cells_cost_what_the_table_says() -> None:
    unit = 16  # a divisor of every operation's mult-adds per pixel
    per_pixel = [
        (total // PIXELS - 2160) // 10 // unit for total in mult_adds_of_uniform_cells().values()
    ]
    one = np.bincount(per_pixel) / 16
    probability = np.ones(1)
    for _ in range(10):
        probability = np.convolve(probability, one)
    giga = (np.arange(len(probability)) * unit + 2160) * PIXELS / 1e9
    cumulated = np.cumsum(probability)

    def quantile(q: float) -> float:
        return float(giga[np.searchsorted(cumulated, q)])

    assert probability @ giga == pytest.approx(5.49, abs=0.005)
    assert (giga[0], giga[-1]) == pytest.approx((0.50, 29.40), abs=0.005)
    found = [quantile(q) for q in (0.05, 0.5, 0.95, 0.99)]
    assert found == pytest.approx([2.43, 5.22, 9.65, 11.85], abs=0.01)
    for limit, expected, digits in (
        (8, 0.859, 3),
        (10, 0.960, 3),
        (12, 0.9912, 4),
        (14, 0.99843, 5),
    ):
        assert round(float(probability[giga <= limit].sum()), digits) == expected


def test_space_is_as_large_as_the_paper_says() -> None:
    sizes = [len(decision.options) for decision in space().decisions]
    assert math.prod(sizes) == 16**10 * math.factorial(10)
    assert math.prod(sizes) == pytest.approx(3.99e18, rel=1e-3)
    assert sum(map(math.log, sizes)) == pytest.approx(42.830, abs=5e-4)


def test_decisions_alternate_operation_and_source() -> None:
    decisions = space(nodes=3, operations=["conv3", "se"]).decisions
    assert [decision.name for decision in decisions] == [
        *("op_1", "in_1", "op_2", "in_2", "op_3", "in_3")
    ]
    assert decisions[0].options == decisions[4].options == ("conv3", "se")
    assert [d.options for d in decisions[1::2]] == [("0",), ("0", "1"), ("0", "1", "2")]


def test_fast_modules_train_as_torchs_own_in_a_whole_generator() -> None:
    made = space()
    cell = [[name, max(0, node - 2)] for node, name in enumerate(OPERATION_NAMES[6:])]
    fast = made.build(made.parse(cell)).double().to(memory_format=torch.channels_last)
    plain = plain_copy(fast).to(memory_format=torch.contiguous_format)
    assert not any(type(m).__module__.startswith("corenas_sr") for m in plain.modules())
    x, target = (images(4, 3, size, size, dtype=torch.float64) for size in (12, 24))
    losses = []
    for generator in (fast, plain):
        loss = F.l1_loss(generator(x), target)
        loss.backward()
        losses.append(loss.detach())
    torch.testing.assert_close(*losses)
    for ours, theirs in zip(fast.parameters(), plain.parameters(), strict=True):
        torch.testing.assert_close(ours.grad, theirs.grad, rtol=1e-8, atol=1e-12)


def test_colour_mean_is_no_part_of_the_state() -> None:
    made, architecture = paper()
    generator = made.build(architecture)
    names = list(generator.state_dict())
    assert sum(t.numel() for t in generator.state_dict().values()) == 60_761
    assert {name.split(".")[0] for name in names} == {"head", "nodes", "merge", "up1"}
    assert [name for name in names if name.startswith("nodes.0.")] == [
        *("nodes.0.0.0.weight", "nodes.0.0.1.weight", "nodes.0.0.2.weight", "nodes.0.0.2.bias"),
        "nodes.0.1.weight",
    ]
    black, white = (generator(torch.full((1, 3, 4, 4), level)) for level in (0.0, 255.0))
    assert generator.mean.flatten().tolist() == pytest.approx(RGB_MEAN)
    assert not torch.allclose(black, white)


def test_mean_colour_passes_unchanged_through_a_network_of_zeros() -> None:
    made, architecture = paper(4)
    generator = made.build(architecture)
    for parameter in generator.parameters():
        nn.init.zeros_(parameter)
    y = generator(images(1, 3, 4, 4))
    assert torch.equal(y, generator.mean.expand(1, 3, 16, 16))


def test_output_is_not_clamped() -> None:
    made, architecture = paper()
    generator = made.build(architecture)
    nn.init.constant_(generator.up1.bias, 1000.0)
    assert generator(images(1, 3, 4, 4)).max() > 255


@pytest.mark.parametrize(
    ("x", "got"),
    [
        (torch.zeros(3, 8, 8), r"float32 \(3, 8, 8\)"),
        (torch.zeros(1, 1, 8, 8), r"float32 \(1, 1, 8, 8\)"),
        (torch.zeros(1, 3, 8, 8, dtype=torch.uint8), r"uint8 \(1, 3, 8, 8\)"),
    ],
)
def test_input_of_another_shape_or_type_is_refused(x: Tensor, got: str) -> None:
    made, architecture = paper()
    with pytest.raises(ValueError, match=rf"floating point of shape \(N, 3, H, W\), got .*{got}"):
        made.build(architecture)(x)


def test_x4_starts_from_all_of_x2() -> None:
    made, architecture = paper()
    x2 = made.build(architecture)
    x4 = space(scale=4).build(architecture)
    carry_over(x2, x4)
    assert sum(p.numel() for p in x4.parameters()) == 61_097
    for name, tensor in x2.state_dict().items():
        assert torch.equal(tensor, x4.state_dict()[name])
        assert tensor.data_ptr() != x4.state_dict()[name].data_ptr()
    x = images(1, 3, 5, 6)
    up2 = F.conv2d(x2(x) - x2.mean, x4.up2.weight, x4.up2.bias, padding=1)
    torch.testing.assert_close(x4(x), F.pixel_shuffle(up2, 2) + x2.mean)
    assert (x2.scale, x4.scale) == (2, 4)
    assert x2(x).shape == (1, 3, 10, 12)


def test_architecture_survives_being_written_and_read() -> None:
    made = space()
    for seed in range(20):
        architecture = drawn(made, seed)
        assert made.parse(made.format(architecture)) == architecture
        assert made.canonical(architecture) == architecture
        assert made.check(architecture) == ""


def test_discovered_cell_is_read_in_both_forms() -> None:
    made, architecture = paper()
    pairs = [list(pair) for pair in PAPER_CELL]
    flat = [
        *("dsep5", 1, "conv7", 2, "conv7", 3, "conv3", 4, "conv3", 4),
        *("conv5", 6, "dsep3", 7, "conv5", 5, "conv3", 9, "conv7", 1),
    ]
    assert made.parse(pairs) == made.parse(flat) == architecture
    assert made.format(architecture) == pairs


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("conv1", r"expected a list of \[operation, source\] pairs, got 'conv1'"),
        ({"op_1": "conv1"}, r"expected a list of"),
        ([], "expected 2 nodes, got 0"),
        ([["conv1", 0]], "expected 2 nodes, got 1"),
        ([["conv1", 0], ["conv2", 0]], "node 2: unknown operation 'conv2'; did you mean 'conv"),
        ([["conv1", 0], ["conv1", 2]], r"node 2: source 2 is not in 0\.\.1"),
        ([["conv1", 0], ["conv1", -1]], r"node 2: source -1 is not in 0\.\.1"),
        ([["conv1", 0], ["conv1", "1"]], "node 2: expected an operation and a source"),
        ([["conv1", 0], ["conv1", True]], "node 2: expected an operation and a source"),
        ([["conv1", 0], ["conv1"]], "node 2: expected an operation and a source"),
        ([["conv1", 0], 7], "node 2: expected an operation and a source, got 7"),
        (["conv1", 1, "conv1"], "node 2: expected an operation and a source"),
        (["conv1", 0, "conv1", 1], r"node 1: source 0 is not in 1\.\.1"),
    ],
)
def test_malformed_cell_is_refused_with_its_node(value: object, message: str) -> None:
    with pytest.raises(InputError, match=message):
        space(nodes=2).parse(value)


def test_architecture_of_another_space_is_refused() -> None:
    made, architecture = paper()
    foreign = Architecture("elsewhere", architecture.choices)
    assert "'elsewhere'" in made.check(foreign)
    unknown = Architecture(made.name, {**dict(architecture.choices), "op_3": "conv2"})
    for wrong, reason in ((foreign, "elsewhere"), (unknown, "op_3: unknown option 'conv2'")):
        with pytest.raises(InputError, match=reason):
            made.build(wrong)
        with pytest.raises(InputError, match=reason):
            made.cost(wrong, height=4, width=4)


def test_canonical_has_its_choices_in_the_order_of_the_decisions() -> None:
    made, architecture = paper()
    shuffled = Architecture(made.name, tuple(reversed(architecture.choices)))
    assert shuffled != architecture
    assert made.canonical(shuffled) == architecture
    assert made.canonical(shuffled).id == shuffled.id


def test_discovered_cell_is_known_only_where_it_fits() -> None:
    assert set(space().known) == set(space(scale=4).known) == {"tpsr/paper"}
    assert not space(nodes=9).known
    assert not space(operations=["conv3", "conv5", "conv7", "dsep5"]).known
    assert set(space(operations=["conv3", "conv5", "conv7", "dsep5", "dsep3"]).known)


def test_space_travels_to_workers() -> None:
    made, architecture = paper()
    cost = made.cost(architecture, height=8, width=8)
    copied = pickle.loads(pickle.dumps(made))
    assert copied.decisions == made.decisions
    assert copied.cost(architecture, height=8, width=8) == cost
    torch.manual_seed(0)
    theirs = copied.build(architecture).state_dict()
    torch.manual_seed(0)
    ours = made.build(architecture).state_dict()
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (["conv1", "se", "conv1"], "operations: 'conv1' stands more than once"),
        ([], "operations: at least one is needed"),
        (["conv2"], r"operations\[0\]\.use: unknown operation 'conv2'.* did you mean 'conv"),
    ],
)
def test_unusable_operations_are_refused(names: list[str], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        structure(GeneratorSpaceConfig, {"operations": names})


def test_scale_other_than_2_and_4_is_refused() -> None:
    with pytest.raises(ConfigError, match="scale: must be one of 2, 4, got 3"):
        space(scale=3)


def test_channels_that_an_operation_cannot_take_are_refused() -> None:
    made = space(nodes=1, channels=6)
    with pytest.raises(InputError, match="gconv3: 6 channels do not divide into 4 groups"):
        made.cost(made.parse([["gconv3", 0]]), height=4, width=4)


STRANGER = """
from attrs import frozen
from corenas import Component, hookimpl, option

@frozen
class BlurConfig:
    size: int = option(3, "side of the filter", ge=1)

@hookimpl
def corenas_operations():
    return [Component("blur", "stranger:blur", BlurConfig, "average, then convolve")]

def blur(config, channels):
    from torch import nn
    average = nn.AvgPool2d(config.size, 1, config.size // 2)
    return nn.Sequential(average, nn.Conv2d(channels, channels, 1, bias=False))
"""


def test_operation_of_another_plugin_is_used_by_name(install_plugin: InstallPlugin) -> None:
    install_plugin("stranger", STRANGER)
    made = space(nodes=2, operations=["conv3", {"use": "blur", "size": 5}])
    architecture = made.parse([["conv3", 0], ["blur", 1]])
    generator = made.build(architecture)
    assert generator.nodes[1][0][0].kernel_size == 5
    assert generator(images(1, 3, 6, 6)).shape == (1, 3, 12, 12)
    cost = made.cost(architecture, height=6, width=6)
    assert cost == count(generator, (1, 3, 6, 6))
    assert cost.mult_adds == (2160 + 2304 + 256) * 36
    assert pickle.loads(pickle.dumps(made)).decisions == made.decisions


def test_operations_keep_their_defaults_where_only_names_are_given() -> None:
    assert GeneratorSpaceConfig().operations == tuple(
        choose("operations", name) for name in OPERATION_NAMES
    )
