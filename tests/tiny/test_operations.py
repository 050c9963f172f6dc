"""The operations: against their formulas written out otherwise, their costs, and tiles."""

import warnings

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from corenas import ConfigError, InputError, choose
from corenas.cost import count
from corenas.training.networks import seeded
from corenas_sr.models.inference import receptive_radius, upscale
from corenas_tiny.space.config import OPERATION_NAMES
from corenas_tiny.space.network import TinyNetwork
from corenas_tiny.space.parts import ChannelNorm, activation, cell_means, over_cells
from corenas_tiny.space.space import TinySpace

C = 12
NAMES = [name for name in OPERATION_NAMES if name != "identity"]


def block(name, channels=C, *, expansion=None, **options):
    chosen = choose("operations", name).filled(expansion=expansion, **options)
    with seeded(4):
        return chosen.build(channels).eval()


def features(*shape, seed=0, dtype=torch.float32):
    return torch.randn(*shape, dtype=dtype, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("size", [(1, 1), (5, 7), (16, 16), (37, 50)])
@torch.no_grad()
def test_any_size_goes_in_and_comes_out(name, size):
    x = features(2, C, *size)
    y = block(name)(x)
    assert y.shape == x.shape
    assert bool(y.isfinite().all())


PARAMS = {
    "rep3": 9 * C * C + C,
    "res3": 2 * (9 * C * C + C),
    "bsres3": C * C + 9 * C + C,
    "bsres5": C * C + 25 * C + C,
    "next5": 25 * C + C + 2 * (2 * C * C) + 3 * C,
    "next7": 49 * C + C + 2 * (2 * C * C) + 3 * C,
    "next9": 81 * C + C + 2 * (2 * C * C) + 3 * C,
    # Normalisation 2 C; up to 4 C with biases; depthwise over 4 C; down from 2 C.
    "gate3": 2 * C + (4 * C * C + 4 * C) + (9 * 4 * C + 4 * C) + (2 * C * C + C),
    "gate5": 2 * C + (4 * C * C + 4 * C) + (25 * 4 * C + 4 * C) + (2 * C * C + C),
    "gate7": 2 * C + (4 * C * C + 4 * C) + (49 * 4 * C + 4 * C) + (2 * C * C + C),
    # Three times keep and refine, the last half, and the fusion of four halves.
    "distil3": 3 * (C * C // 2 + C // 2 + C * C + 10 * C)
    + (C * C // 2 + 10 * C // 2)
    + (2 * C * C + C),
    "modulate": (2 * C * C + 2 * C) + 10 * C + (C * C + C),
    "channel-attention": 3 * C * C + 2 + C * C + C,
    "esa": (C * 3 + 3) + 3 * (9 * 9 + 3) + (9 + 3) + (3 * C + C),
    "cca": (C * 3 + 3) + (3 * C + C),
}


@pytest.mark.parametrize("name", NAMES)
def test_parameters_are_those_of_the_formula(name):
    assert sum(p.numel() for p in block(name).parameters()) == PARAMS[name]


MULT_ADDS = {
    **{name: PARAMS[name] for name in ("rep3", "res3")},
    "modulate": 2 * C * C + 9 * C / 64 + C * C,
    # Projections, and the products of queries with keys and of weights with values: 2 C (C / 2).
    "channel-attention": 3 * C * C + 2 * C * C // 2 + C * C,
    "esa": 3 * C + 81 / 4 + 2 * 81 / 64 + 9 + 3 * C,
    "cca": 2 * 3 * C / 256,
}


@pytest.mark.parametrize("name", MULT_ADDS)
def test_mult_adds_are_those_of_the_formula(name):
    """Per pixel, without biases; statistics and gates of cells count where their cells are."""
    biases = {"rep3": C, "res3": 2 * C}.get(name, 0)
    cost = count(block(name), (1, C, 32, 48))
    assert cost.mult_adds == pytest.approx((MULT_ADDS[name] - biases) * 32 * 48, abs=1)


@pytest.mark.parametrize("name", ["next5", "gate3"])
def test_an_expansion_makes_a_block_wider_inside(name):
    narrow, middle, wide = (
        sum(p.numel() for p in block(name, expansion=e).parameters()) for e in (1, 2, 3)
    )
    # What does not grow are the depthwise filters and biases of the block's outside.
    assert wide - middle == middle - narrow >= 2 * C * C


@torch.no_grad()
def test_channels_are_normalised_at_each_pixel():
    x = features(2, C, 3, 4)
    mean, deviation = x.mean(1, keepdim=True), x.std(1, correction=0, keepdim=True)
    torch.testing.assert_close(ChannelNorm(C)(x), (x - mean) / deviation, rtol=1e-4, atol=1e-4)


@torch.no_grad()
def test_cells_are_means_of_what_the_image_has_there():
    x = features(1, 2, 11, 19, dtype=torch.float64)
    means = cell_means(x, 8)
    assert means.shape == (1, 2, 2, 3)
    array = x.numpy()
    for row in range(2):
        for column in range(3):
            cell = array[0, :, 8 * row : 8 * row + 8, 8 * column : 8 * column + 8]
            np.testing.assert_allclose(means[0, :, row, column], cell.mean(axis=(1, 2)))
    spread = over_cells(means, 8, x)
    assert spread.shape == x.shape
    assert torch.equal(spread[0, :, 10, 17], means[0, :, 1, 2])


@torch.no_grad()
def test_channel_attention_attends_within_each_window():
    """Window by window and head by head, in NumPy."""
    module = block("channel-attention").double()
    x = features(2, C, 20, 35, dtype=torch.float64)
    with torch.no_grad():
        module.temperature.copy_(torch.tensor([0.7, 1.9]).view(2, 1, 1))
    projected = module.project(x).numpy()
    seen = np.zeros((2, C, 20, 35))
    half = C // 2
    for image in range(2):
        for top in range(0, 20, 16):
            for left in range(0, 35, 16):
                window = projected[image, :, top : top + 16, left : left + 16]
                height, width = window.shape[1:]
                query, key, value = window.reshape(3, C, -1)
                for head, temperature in enumerate((0.7, 1.9)):
                    own = slice(head * half, (head + 1) * half)
                    q = query[own] / np.linalg.norm(query[own], axis=1, keepdims=True)
                    k = key[own] / np.linalg.norm(key[own], axis=1, keepdims=True)
                    weights = np.exp(temperature * q @ k.T)
                    weights /= weights.sum(axis=1, keepdims=True)
                    result = (weights @ value[own]).reshape(half, height, width)
                    seen[image, own, top : top + height, left : left + width] = result
    expected = x + module.merge(torch.tensor(seen))
    torch.testing.assert_close(module(x), expected)


@torch.no_grad()
def test_contrast_attention_knows_the_cells_around():
    module = block("cca").double()
    x = features(1, C, 40, 24, dtype=torch.float64)
    array = x.numpy()[0]
    means = np.zeros((2, C, 3, 2))
    for row, (top, bottom) in enumerate(((0, 16), (16, 32), (32, 40))):
        for column, (left, right) in enumerate(((0, 16), (16, 24))):
            cell = array[:, top:bottom, left:right].reshape(C, -1)
            means[0, :, row, column] = cell.mean(axis=1)
            means[1, :, row, column] = (cell**2).mean(axis=1)
    gates = np.zeros((C, 3, 2))
    for row in range(3):
        near = means[:, :, max(0, row - 1) : row + 2].mean(axis=(2, 3))  # both columns are near
        deviation = np.sqrt(near[1] - near[0] ** 2 + 1e-5)
        statistic = torch.tensor(near[0] + deviation).view(1, C, 1, 1)
        gates[:, row] = torch.sigmoid(module.gate(statistic))[0, :, 0].numpy()
    expected = array * gates.repeat(16, axis=1)[:, :40].repeat(16, axis=2)[:, :, :24]
    np.testing.assert_allclose(module(x)[0], expected, rtol=1e-9)


@torch.no_grad()
def test_spatial_attention_of_a_flat_image_is_the_same_everywhere_inside():
    module = block("esa")
    x = torch.full((1, C, 160, 160), 0.3)
    gates = (module(x) / x)[0, :, 64:96, 64:96]
    torch.testing.assert_close(gates, gates[:, :1, :1].expand_as(gates))
    assert 0 < float(gates.min()) <= float(gates.max()) < 1


@torch.no_grad()
def test_a_gate_is_the_product_of_its_halves():
    module = block("gate3", expansion=1)
    x = features(1, C, 5, 6)
    widened = F.conv2d(
        module.widen(module.norm(x)),
        module.filter.weight,
        module.filter.bias,
        padding=1,
        groups=2 * C,
    )
    expected = x + module.narrow(widened[:, :C] * widened[:, C:])
    torch.testing.assert_close(module(x), expected)


@pytest.mark.parametrize("name", ["channel-attention", "cca", "esa", "modulate", "gate3"])
def test_gradients_are_right(name):
    module = block(name, 4).double()
    x = features(1, 4, 4, 3, dtype=torch.float64).requires_grad_()
    assert torch.autograd.gradcheck(module, (x,))


@pytest.mark.parametrize("name", NAMES)
@torch.no_grad()
def test_tiles_give_the_whole_image(name):
    """Two blocks of each, on an image that is no multiple of anything."""
    space = TinySpace(choose("search_spaces", "tiny").config)
    with seeded(1):
        network = space.build(space.parse({"width": 16, "blocks": [name, name]})).eval()
        # Fresh tails are weak: a wrong border would not be seen in 8 bits.
        network.tail.weight.mul_(20)
    generator = torch.Generator().manual_seed(2)
    image = torch.randint(0, 256, (3, 150, 219), dtype=torch.uint8, generator=generator)
    assert receptive_radius(network, scale=4) is not None
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        tiled = upscale(network, image, scale=4, tile=64)
    whole = upscale(network, image, scale=4)
    different = (tiled != whole).double().mean()
    # Sums in another order move what lies on the edge between two levels.
    assert float(different) < 1e-3
    assert int((tiled.int() - whole.int()).abs().max()) <= 1


@pytest.mark.parametrize("name", NAMES)
@torch.no_grad()
def test_sizes_may_stay_open_in_an_export(name):
    """No module branches on the size of an image: torch's exporter keeps height and width open.

    It cannot prove that cells cover an image, so it is told to assert that when the program runs.
    """
    module = block(name)
    sides = {d: torch.export.Dim(name, min=20, max=400) for d, name in ((2, "h"), (3, "w"))}
    x = features(1, C, 33, 50)
    program = torch.export.export(
        module, (x,), dynamic_shapes=(sides,), prefer_deferred_runtime_asserts_over_guards=True
    )
    other = features(1, C, 47, 21)
    torch.testing.assert_close(program.module()(other), module(other), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", ["leaky", "relu", "prelu", "gelu", "silu"])
def test_activations_are_torchs(name):
    x = torch.linspace(-2, 2, 9)
    expected = {
        "leaky": F.leaky_relu(x, 0.1),
        "relu": F.relu(x),
        "prelu": F.prelu(x, torch.tensor([0.25])),
        "gelu": F.gelu(x),
        "silu": F.silu(x),
    }
    torch.testing.assert_close(activation(name)(x), expected[name])


def test_heads_must_divide_the_channels():
    with pytest.raises(InputError, match="15 channels do not divide into 2 heads"):
        block("channel-attention", 15)


def test_wrong_images_are_refused():
    network = TinyNetwork([], channels=4, scale=2, fusion=False, tail=3, skip="none")
    for wrong in (torch.zeros(3, 4, 4), torch.zeros(1, 1, 4, 4), torch.zeros(1, 3, 4, 4).byte()):
        with pytest.raises(ValueError, match="expected floating point"):
            network(wrong)


def test_options_of_blocks_are_checked():
    with pytest.raises(ConfigError, match="reduction"):
        type(choose("operations", "esa").config)(reduction=0)
    assert isinstance(block("rep3", activation="gelu")[1], nn.GELU)
