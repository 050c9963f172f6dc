from __future__ import annotations

import json
import logging
import math
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from attrs import evolve
from torch import Tensor, nn
from torch.nn.utils.parametrize import is_parametrized

from corenas import cli
from corenas.cost import Cost, count
from corenas.errors import ConfigError, InputError
from corenas.options.structuring import Chosen, choose, structure
from corenas.protocols import Budget, Job, Problem, SearchSpace
from corenas.search.objectives import MetricObjective
from corenas.testing.contracts import SearchSpaceContract
from corenas.testing.installed import InstallPlugin
from corenas.testing.jobs import Give
from corenas.testing.surrogate import InlineExecutor, SurrogateEvaluator
from corenas.values.architecture import Architecture
from corenas.values.evaluation import Outcome
from corenas.values.trial import Measurement
from corenas_sr.models.kernels import DepthwiseConv2d
from corenas_tpsr._catalogue import REDUCTIONS
from corenas_tpsr.discriminator.config import REDUCTION_NAMES, DiscriminatorSpaceConfig
from corenas_tpsr.discriminator.space import Discriminator, DiscriminatorSpace
from corenas_tpsr.discriminator.srgan import SrganDiscriminator
from corenas_tpsr.generator.config import OPERATION_NAMES, GeneratorSpaceConfig
from corenas_tpsr.generator.network import RGB_MEAN
from corenas_tpsr.generator.operations import InvertedBlock


def space(**options: object) -> DiscriminatorSpace:
    return DiscriminatorSpace(structure(DiscriminatorSpaceConfig, options))


def tiny(**options: object) -> DiscriminatorSpace:
    return space(**({"blocks": 2, "patch": 8, "channels": 8} | options))


def uniform(made: DiscriminatorSpace, operation: str, reduction: str) -> Architecture:
    return made.parse([[operation, reduction]] * made.config.blocks)


def images(*shape: int, dtype: torch.dtype = torch.float32) -> Tensor:
    return torch.rand(shape, dtype=dtype, generator=torch.Generator().manual_seed(0)) * 255


def with_options(kind: str, name: str, options: Mapping[str, object]) -> Chosen:
    chosen = choose(kind, name)
    return evolve(chosen, config=structure(chosen.component.config, options))


def norms(module: nn.Module) -> list[nn.BatchNorm2d]:
    return [m for m in module.modules() if isinstance(m, nn.BatchNorm2d)]


def layers(module: nn.Module) -> list[nn.Conv2d | nn.Linear]:
    return [m for m in module.modules() if isinstance(m, nn.Conv2d | nn.Linear)]


@pytest.fixture(autouse=True)
def seeded() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    yield
    torch.set_num_threads(threads)


class TestDiscriminatorSpace(SearchSpaceContract):
    @pytest.fixture
    def space(self) -> SearchSpace:
        return space(channels=8)


# Costs

# Mult-adds, and parameters without and with the redundant biases. Where the paper's reading leaves
# both at the same digits one number is printed; 12.86 M counts the biases.
TABLE = [
    ("identity", "reduce-conv1", 96, "9.9 M", ("183 K", "184 K")),
    ("identity", "reduce-conv1", 192, "39.5 M", ("196 K", "197 K")),
    ("identity", "reduce-gconv3", 96, "17.3 M", ("401 K", "402 K")),
    ("identity", "reduce-gconv3", 192, "69.0 M", ("415 K", "416 K")),
    ("conv3", "reduce-conv3", 96, "163.2 M", ("2.37 M", "2.37 M")),
    ("conv3", "reduce-conv3", 192, "653.0 M", ("2.38 M", "2.38 M")),
    ("conv7", "reduce-conv7", 96, "871 M", ("12.84 M", "12.84 M")),
    ("conv7", "reduce-conv7", 192, "3.48 G", ("12.85 M", "12.86 M")),
]
UNITS = {"K": 1e3, "M": 1e6, "G": 1e9}


def shown_as(printed: str, number: int) -> str:
    """Return a number with the digits and the unit of a printed one."""
    value, unit = printed.split()
    return f"{number / UNITS[unit]:.{len(value.partition('.')[2])}f} {unit}"


@pytest.mark.parametrize(("operation", "reduction", "patch", "mult_adds", "params"), TABLE)
def test_members_cost_what_the_table_says(
    operation: str, reduction: str, patch: int, mult_adds: str, params: tuple[str, str]
) -> None:
    made = space(patch=patch)
    architecture = uniform(made, operation, reduction)
    cost = made.cost(architecture)
    assert shown_as(mult_adds, cost.mult_adds) == mult_adds
    assert cost.input == (1, 3, patch, patch)
    # Without normalisation every bias is there; its scales and shifts are added again.
    biased = space(patch=patch, batch_norm="none").cost(architecture)
    assert biased.mult_adds == cost.mult_adds
    normalised = 16 + sum(3 * 16 * 2**block for block in range(5))
    counts = (cost.params, biased.params + 2 * normalised)
    assert tuple(map(shown_as, params, counts)) == params


@pytest.mark.parametrize(("channels", "millions"), [(16, "2.4"), (32, "9.5"), (64, "37.8")])
def test_parameters_grow_with_the_square_of_the_channels(channels: int, millions: str) -> None:
    made = space(channels=channels, patch=192)
    params = made.cost(uniform(made, "conv3", "reduce-conv3")).params
    assert f"{params / 1e6:.1f}" == millions


def mixed(made: DiscriminatorSpace) -> Architecture:
    """Return an architecture with every sort of operation and of reduction."""
    operations = ("dsep5", "inv3", "se", "ca", "gconv7")
    reductions = ("reduce-gconv5", "reduce-conv3", "reduce-conv1", "reduce-gconv3", "reduce-conv5")
    return made.parse([list(pair) for pair in zip(operations, reductions, strict=True)])


@pytest.mark.parametrize("options", [{}, {"spectral_norm": False}, {"bottleneck": 10}])
def test_cost_is_that_of_the_whole_network(options: dict[str, object]) -> None:
    made = space(patch=64, **options)
    architecture = mixed(made)
    assert made.cost(architecture) == count(made.build(architecture), (1, 3, 64, 64))


@pytest.mark.filterwarnings("ignore")  # fvcore traces the network, which torch deprecates
def test_cost_equals_that_of_another_counter() -> None:
    from fvcore.nn import FlopCountAnalysis

    logging.getLogger("fvcore.nn.jit_analysis").setLevel(logging.ERROR)
    made = space(patch=64, spectral_norm=False)
    flops = FlopCountAnalysis(made.build(mixed(made)), images(1, 3, 64, 64))
    expected = sum(flops.by_operator()[operator] for operator in ("conv", "linear"))
    assert made.cost(mixed(made)).mult_adds == expected


def test_patch_that_is_reduced_to_one_pixel_is_counted() -> None:
    made = tiny(patch=4)
    cost = made.cost(uniform(made, "identity", "reduce-conv1"))
    per_pixel = [3 * 9 * 8 * 16, 8 * 16 * 4, 16 * 32]
    assert cost == Cost(cost.params, sum(per_pixel) + 32, (1, 3, 4, 4))


@pytest.mark.parametrize(
    ("patch", "params", "mult_adds"),
    [(96, 23_563_713, "884 M"), (192, 80_186_817, "3.54 G")],
)
def test_srgans_discriminator_costs_what_is_published(
    patch: int, params: int, mult_adds: str
) -> None:
    with torch.device("meta"):
        cost = count(SrganDiscriminator(patch), (1, 3, patch, patch))
    assert cost.params == params
    assert shown_as(mult_adds, cost.mult_adds) == mult_adds


# Space


def test_space_is_as_large_as_the_paper_says() -> None:
    decisions = space().decisions
    sizes = [len(decision.options) for decision in decisions]
    assert math.prod(sizes) == 112**5
    assert sum(map(math.log, sizes)) == pytest.approx(23.59, abs=5e-3)
    assert [decision.name for decision in decisions[:4]] == ["op_1", "rop_1", "op_2", "rop_2"]
    assert decisions[-2].options == OPERATION_NAMES
    assert decisions[-1].options == REDUCTION_NAMES == tuple(c.name for c in REDUCTIONS)
    assert not space().known


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("conv3", r"expected a list of \[operation, reduction\] pairs, got 'conv3'"),
        ([["conv3", "reduce-conv3"]], "expected 2 blocks, got 1"),
        ([["conv3", "reduce-conv3"], ["conv3"]], "block 2: expected an operation and a reduction"),
        ([["conv3", 0], ["conv3", 1]], "block 1: expected an operation and a reduction"),
        (
            [["conv3", "reduce-conv3"], ["conv2", "reduce-conv3"]],
            "block 2: unknown operation 'conv2'; did you mean 'conv",
        ),
        (
            [["conv3", "conv3"], ["conv3", "reduce-conv3"]],
            "block 1: unknown reduction 'conv3'; allowed: reduce-conv1, reduce-conv3",
        ),
    ],
)
def test_malformed_architecture_is_refused_with_its_block(value: object, message: str) -> None:
    with pytest.raises(InputError, match=message):
        tiny().parse(value)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"patch": 100}, "patch: must be a multiple of 32, which 5 blocks halve to 1, got 100"),
        ({"blocks": 6}, "patch: must be a multiple of 64"),
        ({"operations": []}, "operations: at least one is needed"),
        ({"reductions": []}, "reductions: at least one is needed"),
        ({"operations": ["se", "se"]}, "operations: 'se' stands more than once"),
        ({"operations": ["reduce-conv3"]}, "operations: 'reduce-conv3' is a reduction, which"),
        ({"reductions": ["conv3"]}, "reductions: 'conv3' keeps shape; allowed are only reductions"),
        ({"stem": "conv5"}, "stem: unknown value 'conv5'"),
        ({"bottleneck": 0}, "bottleneck: must be at least 1, got 0"),
    ],
)
def test_unusable_options_are_refused(options: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=f"^{message}"):
        space(**options)


def test_generator_takes_no_reduction() -> None:
    with pytest.raises(ConfigError, match=r"^operations: 'reduce-gconv3' is a reduction"):
        structure(GeneratorSpaceConfig, {"operations": ["conv3", "reduce-gconv3"]})


def test_channels_that_a_reduction_cannot_take_are_refused() -> None:
    made = tiny(channels=10)
    with pytest.raises(InputError, match="reduce-gconv5: 10 channels do not divide into 4 groups"):
        made.build(uniform(made, "identity", "reduce-gconv5"))


STRANGER = """
from corenas import Component, hookimpl

@hookimpl
def corenas_operations():
    return [Component("shrink", "stranger:shrink", metadata="reduction")]

def shrink(config, channels):
    from torch import nn
    return nn.Sequential(nn.AvgPool2d(2), nn.Conv2d(channels, 2 * channels, 1))
"""


def test_reduction_of_another_plugin_is_used_by_name(install_plugin: InstallPlugin) -> None:
    install_plugin("stranger", STRANGER)
    made = tiny(reductions=["shrink"])
    module = made.build(uniform(made, "conv3", "shrink"))
    assert module(images(2, 3, 8, 8)).shape == (2, 1)
    assert [m.bias for m in layers(module) if isinstance(m, nn.Conv2d)] == [None] * 5
    with pytest.raises(ConfigError, match="'shrink' is a reduction"):
        structure(GeneratorSpaceConfig, {"operations": ["shrink"]})


# Network


def by_hand(module: Discriminator, x: Tensor) -> Tensor:
    """Compute what the template says, stage by stage."""
    mean = torch.tensor(RGB_MEAN, dtype=x.dtype).view(1, 3, 1, 1)
    z = (x - mean) / 127.5
    for operation, norm, activation in module.features:
        z = operation(z)
        variance, level = torch.var_mean(z, (0, 2, 3), correction=0, keepdim=True)
        z = (z - level) / (variance + 1e-5).sqrt()
        z = F.prelu(z * norm.weight.view(-1, 1, 1) + norm.bias.view(-1, 1, 1), activation.weight)
    return F.linear(z.flatten(1), module.judge.weight, module.judge.bias)


def test_network_computes_the_template() -> None:
    made = space(channels=8, patch=64)
    module, x = made.build(mixed(made)).double().eval(), images(3, 3, 64, 64, dtype=torch.float64)
    for norm in norms(module):
        nn.init.normal_(norm.weight)
        nn.init.normal_(norm.bias)
    shapes = [(8 * 2**block, 64 // 2**block) for block in (0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5)]
    z = (x - module.mean) / 127.5
    for stage, (channels, side) in zip(module.features, shapes, strict=True):
        z = stage(z)
        assert z.shape == (3, channels, side, side)
    torch.testing.assert_close(module(x), by_hand(module, x))
    assert module(x).shape == (3, 1)


def check_that_it_trains(module: Discriminator, x: Tensor) -> None:
    logits = module(x)
    assert logits.shape == (len(x), 1)
    assert logits.isfinite().all()
    F.binary_cross_entropy_with_logits(logits, torch.ones_like(logits)).backward()
    for name, parameter in module.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.isfinite().all(), name


def test_every_pair_of_operation_and_reduction_judges_and_trains() -> None:
    made, x = tiny(blocks=1, patch=4, spectral_norm=False), images(3, 3, 4, 4)
    for operation in OPERATION_NAMES:
        for reduction in REDUCTION_NAMES:
            check_that_it_trains(made.build(uniform(made, operation, reduction)), x)


@pytest.mark.parametrize("where", ["operations", "convolutions", "blocks", "none"])
def test_spectrally_normalised_discriminator_trains(where: str) -> None:
    made = space(channels=8, patch=32, batch_norm=where)
    module = made.build(mixed(made)).to(memory_format=torch.channels_last)
    check_that_it_trains(module, images(3, 3, 32, 32))


@pytest.mark.parametrize(
    ("name", "options"), [("reduce-conv7", {}), ("reduce-gconv3", {"groups": 2})]
)
def test_reduction_is_a_strided_convolution_to_twice_the_channels(
    name: str, options: dict[str, int]
) -> None:
    module = with_options("operations", name, options).build(4)
    assert isinstance(module, nn.Conv2d)
    size = int(name[-1])
    assert module.weight.shape == (8, 4 // options.get("groups", 1), size, size)
    assert module(images(1, 4, 6, 10)).shape == (1, 8, 3, 5)


CHAIN = [
    *(["se", "reduce-conv3"], ["conv3", "reduce-conv1"], ["ca", "reduce-gconv3"]),
    *(["identity", "reduce-conv3"], ["inv3", "reduce-conv3"]),
]


@pytest.mark.parametrize(
    ("where", "stages"),
    [
        ("operations", range(11)),
        ("convolutions", (0, 2, 3, 4, 6, 8, 9, 10)),
        ("blocks", (2, 4, 6, 8, 10)),
        ("none", ()),
    ],
)
def test_normalisation_stands_where_the_option_says(where: str, stages: range) -> None:
    made = space(channels=8, batch_norm=where)
    module = made.build(made.parse(CHAIN))
    assert [i for i, stage in enumerate(module.features) if norms(stage)] == list(stages)
    for i, (operation, *_) in enumerate(module.features):
        inverted = isinstance(operation, InvertedBlock)
        last = operation.body[-1] if inverted else operation
        if isinstance(last, nn.Conv2d):
            assert (last.bias is None) == (i in stages)


def test_biases_that_are_left_out_would_change_nothing() -> None:
    made = tiny(blocks=3, spectral_norm=False)
    blocks = [[name, "reduce-gconv3"] for name in ("dsep3", "inv3", "conv1")]
    module, x = made.build(made.parse(blocks)).double(), images(2, 3, 8, 8, dtype=torch.float64)
    expected = module(x)
    bare = [m for m in layers(module) if m.bias is None and not isinstance(m, DepthwiseConv2d)]
    assert len(bare) == 7
    for layer in bare:
        layer.bias = nn.Parameter(torch.randn(layer.out_channels, dtype=torch.float64))
    torch.testing.assert_close(module(x), expected)


def test_biases_in_front_of_other_things_than_normalisation_stay() -> None:
    made = tiny(blocks=1, patch=4)
    for name, biases in (("ca", 2), ("inv3", 2), ("rcab", 4), ("dsep3", 0), ("conv3", 0)):
        offered = tiny(blocks=1, patch=4, operations=[name])
        module = offered.build(uniform(offered, name, "reduce-conv1"))
        inside = layers(module.features[1])
        assert sum(layer.bias is not None for layer in inside) == biases, name
    assert layers(made.build(uniform(made, "se", "reduce-conv1")))[-1].bias is not None


def test_both_modes_judge_alike_and_evaluation_changes_nothing() -> None:
    made = tiny(spectral_norm=False)
    module, x = made.build(uniform(made, "inv3", "reduce-conv3")), images(4, 3, 8, 8)
    assert torch.equal(module.train()(x), module.eval()(x))
    assert not torch.allclose(module(x)[:2], module(x[:2]))  # the batch's own statistics
    module = tiny().build(uniform(made, "inv3", "reduce-conv3")).eval()
    before = {name: tensor.clone() for name, tensor in module.state_dict().items()}
    module(x)
    assert all(torch.equal(tensor, before[name]) for name, tensor in module.state_dict().items())


@pytest.mark.parametrize("operation", ["conv3", "gconv3", "dsep3", "inv3", "se", "ca"])
def test_spectral_norm_brings_every_largest_singular_value_to_one(operation: str) -> None:
    made, x = tiny(bottleneck=3), images(2, 3, 8, 8)
    module = made.build(uniform(made, operation, "reduce-gconv3"))
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.mul_(3)
        for _ in range(30):
            module(x)
    module.eval()
    for layer in layers(module):
        assert is_parametrized(layer, "weight")
        largest = torch.linalg.matrix_norm(layer.weight.flatten(1), 2)
        assert largest.item() == pytest.approx(1, abs=0.02), layer


def test_spectral_norm_can_be_left_out() -> None:
    made = tiny(spectral_norm=False)
    module = made.build(uniform(made, "inv3", "reduce-conv3"))
    assert not any(map(is_parametrized, module.modules()))


def test_bottleneck_is_a_layer_before_the_logit() -> None:
    made = tiny(bottleneck=5, spectral_norm=False)
    first, activation, last = made.build(uniform(made, "se", "reduce-conv1")).judge
    assert (first.in_features, first.out_features, last.out_features) == (32 * 4, 5, 1)
    assert activation.weight.tolist() == [0.25]


def test_small_stem_mixes_colours_alone() -> None:
    made = tiny(stem="conv1")
    module = made.build(uniform(made, "identity", "reduce-conv1"))
    assert module.features[0][0].weight.shape == (8, 3, 1, 1)


def test_raw_input_is_not_centred() -> None:
    centred, raw = tiny(batch_norm="none"), tiny(batch_norm="none", input="raw")
    architecture, x = uniform(raw, "conv3", "reduce-conv3"), images(2, 3, 8, 8)
    ours, theirs = centred.build(architecture).eval(), raw.build(architecture).eval()
    theirs.load_state_dict(ours.state_dict())
    mean = torch.tensor(RGB_MEAN).view(3, 1, 1)
    torch.testing.assert_close(ours(x), theirs((x - mean) / 127.5))
    assert not torch.allclose(ours(x), theirs(x))
    assert "mean" not in ours.state_dict()


@pytest.mark.parametrize(
    "x",
    [
        torch.zeros(2, 3, 8, 9),
        torch.zeros(2, 3, 16, 16),
        torch.zeros(3, 8, 8),
        torch.zeros(2, 1, 8, 8),
        torch.zeros(2, 3, 8, 8, dtype=torch.uint8),
    ],
)
def test_patches_of_another_shape_or_type_are_refused(x: Tensor) -> None:
    module = tiny().build(uniform(tiny(), "identity", "reduce-conv1"))
    with pytest.raises(ValueError, match=r"floating point of shape \(N, 3, 8, 8\), got torch"):
        module(x)


def test_srgans_discriminator_judges_patches() -> None:
    module = SrganDiscriminator(16)
    assert len(norms(module)) == 8
    assert all(norm.running_mean is None for norm in norms(module))
    slopes = [m.negative_slope for m in module.modules() if isinstance(m, nn.LeakyReLU)]
    assert slopes == [0.2] * 9
    check_that_it_trains(module, images(2, 3, 16, 16))


@pytest.mark.parametrize("patch", [0, 8, 100])
def test_patch_that_srgans_discriminator_cannot_halve_is_refused(patch: int) -> None:
    with pytest.raises(InputError, match=f"patch: must be a multiple of 16, got {patch}"):
        SrganDiscriminator(patch)


# Search


class CountingEvaluator(SurrogateEvaluator):
    """Likes gates and small reductions; nothing is trained."""

    def prepare(self, architecture: Architecture, *, number: int, seed: int) -> Job:
        options = [option for _, option in architecture.choices]
        liked = sum(option in ("se", "ca", "reduce-conv1", "reduce-gconv3") for option in options)
        return Give(liked)

    def measure(self, architecture: Architecture, outcome: Outcome) -> Measurement:
        return Measurement(outcome.metrics)


def test_reinforce_learns_over_the_space_as_it_is() -> None:
    made = space()
    problem = Problem(
        made, CountingEvaluator(), MetricObjective("value", 1), InlineExecutor(), Budget(trials=100)
    )
    strategy = with_options("strategies", "reinforce", {"learning_rate": 0.01})
    task = strategy.build().search(problem)
    events = list(task.events())
    trials = [event.trial for event in events if event.trial is not None]
    assert {made.check(trial.architecture) for trial in trials} == {""}
    assert events[1].scalars["entropy"] == pytest.approx(23.59, abs=0.1)
    scores = [trial.score for trial in trials]
    assert sum(scores[-20:]) > sum(scores[:20]) + 20


# Command line


Corenas = Callable[..., tuple[int, str, str]]


@pytest.fixture
def cost(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Corenas:
    file = tmp_path / "d.json"
    file.write_text(json.dumps([["conv3", "reduce-conv3"]] * 5))

    def run(*options: str) -> tuple[int, str, str]:
        arguments = ["cost", "tpsr-discriminator", f"--architecture={file}", *options]
        return cli.main(arguments), *capsys.readouterr()

    return run


@pytest.mark.parametrize(("options", "patch"), [([], 96), (["--input=192x192"], 192)])
def test_command_counts_a_discriminator(cost: Corenas, options: list[str], patch: int) -> None:
    made = space(patch=patch)
    architecture = uniform(made, "conv3", "reduce-conv3")
    expected = made.cost(architecture)
    status, out, _ = cost(*options, "--json")
    assert status == 0
    assert json.loads(out) == {
        "space": "tpsr-discriminator",
        "id": architecture.id,
        "params": expected.params,
        "mult_adds": expected.mult_adds,
        "input": [patch, patch],
    }
    _, out, _ = cost(*options)
    assert dict(line.split() for line in out.splitlines())["input"] == f"{patch}x{patch}"


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ("--output=96x96", "--output: the networks of 'tpsr-discriminator' give no image"),
        ("--input=96x64", "--input 96x64: 'tpsr-discriminator' takes square patches"),
        ("--input=100x100", "patch: must be a multiple of 32"),
        ("--scale=2", "the space 'tpsr-discriminator' has no option 'scale'"),
    ],
)
def test_command_names_what_a_discriminator_cannot_have(
    cost: Corenas, option: str, message: str
) -> None:
    status, _, error = cost(option)
    assert status == 2
    assert error.startswith(f"error: {message}")
