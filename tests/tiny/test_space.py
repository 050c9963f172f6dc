"""The space of tiny networks: what its members cost, and that one network has one name."""

import numpy as np
import pytest
import torch

from corenas.cost import count
from corenas.errors import ConfigError, InputError
from corenas.options.structuring import structure
from corenas.testing.contracts import SearchSpaceContract
from corenas.testing.contracts._space import random_architectures
from corenas_tiny.space.config import TinySpaceConfig
from corenas_tiny.space.network import RGB_MEAN
from corenas_tiny.space.space import KNOWN, TinySpace

SIZE = {"height": 180, "width": 320}
"""Whose output at x4 is 1280x720."""

PIXELS = 180 * 320


def space(**options):
    return TinySpace(structure(TinySpaceConfig, options))


class TestTinySpace(SearchSpaceContract):
    @pytest.fixture(params=[2, 4])
    def space(self, request):
        return space(scale=request.param)


class TestWithoutIdentity(SearchSpaceContract):
    @pytest.fixture
    def space(self):
        return space(operations=["res3", "next5", "rep3"], blocks=3, fusion=False, scale=3)


@pytest.mark.parametrize(
    ("name", "params", "mult_adds"),
    [
        ("tiny/res3-16x11", 58_448, 58_032),
        ("tiny/res3-16x10", 53_808, 53_424),
        # 784 of the head, six times 28 * 28 * 9 + 28, and 28 * 48 * 9 + 48 of the tail.
        ("tiny/res3-28x3", 55_432, 55_188),
        ("tiny/plain-28x6", 55_432, 55_188),
    ],
)
def test_networks_made_by_hand_cost_what_was_counted_of_them(name, params, mult_adds):
    made = space()
    cost = made.cost(made.known[name], **SIZE)
    assert (cost.params, cost.mult_adds) == (params, PIXELS * mult_adds)


def test_ecbsr_costs_what_its_paper_says_but_for_its_slopes():
    """51.9 K and 2.97 G (Zhang et al., Table 4); each of its activations has 32 slopes, ours none.

    Ours starts the shuffle from 48 channels as theirs does.
    """
    made = space()
    cost = made.cost(made.known["tiny/ecbsr-32x4"], **SIZE)
    slopes = 5 * 32
    assert (cost.params + slopes) / 1e3 == pytest.approx(51.9, abs=0.05)
    assert cost.mult_adds / 1e9 == pytest.approx(2.97, abs=0.005)


def test_all_known_networks_are_members():
    assert space().known.keys() == KNOWN.keys()
    assert list(space(widths=[16]).known) == ["tiny/res3-16x11", "tiny/res3-16x10"]


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_the_costs_of_the_parts_add_up(scale):
    made = space(scale=scale)
    for architecture in random_architectures(made, 12, seed=scale):
        ours = made.cost(architecture, height=16, width=32)
        assert ours == count(made.build(architecture), (1, 3, 16, 32))


@pytest.mark.parametrize("skip", ["none", "nearest", "bicubic"])
@pytest.mark.parametrize("scale", [2, 3, 4])
def test_a_network_without_a_tail_gives_the_enlarged_input(skip, scale):
    made = space(scale=scale)
    network = made.build(made.parse({"width": 16, "blocks": ["res3"], "skip": skip}))
    torch.nn.init.zeros_(network.tail.weight)
    torch.nn.init.zeros_(network.tail.bias)
    image = torch.rand(2, 3, 5, 7, generator=torch.Generator().manual_seed(0)) * 255
    mean = torch.tensor(RGB_MEAN).view(3, 1, 1)
    if skip == "none":
        expected = mean.expand(2, 3, 5 * scale, 7 * scale)
    elif skip == "nearest":
        repeated = np.asarray(image).repeat(scale, axis=2).repeat(scale, axis=3)
        expected = torch.tensor(repeated)
    else:
        expected = torch.nn.functional.interpolate(image, scale_factor=scale, mode="bicubic")
    torch.testing.assert_close(network(image), expected, rtol=0, atol=2e-4)


def test_the_wiring_is_that_of_the_description():
    """Written out by hand, with the modules of the network itself."""
    made = space(operations=["identity", "rep3", "res3"], blocks=4)
    network = made.build(
        made.parse({"width": 16, "blocks": ["rep3", "res3", "rep3"], "fusion": True, "tail": 1})
    )
    x = torch.rand(1, 3, 6, 4, generator=torch.Generator().manual_seed(0)) * 255
    mean = torch.tensor(RGB_MEAN).view(3, 1, 1)
    z = (x - mean) / 255
    h0 = network.head(z)
    h1 = torch.nn.functional.leaky_relu(network.blocks[0][0](h0), 0.1)
    h2 = network.blocks[1](h1)
    h3 = network.blocks[2](h2)
    g = network.fuse(torch.cat([h1, h2, h3], 1)) + h0
    y = torch.nn.functional.pixel_shuffle(network.tail(g), 4)
    nearest = torch.nn.functional.interpolate(z, scale_factor=4)
    torch.testing.assert_close(network(x), 255 * (y + nearest) + mean, rtol=0, atol=2e-4)


def test_fresh_networks_begin_near_the_enlarged_input():
    """So weak are the tail and the ends of residual branches at first."""
    made = space()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network = made.build(made.known["tiny/res3-16x11"])
    image = torch.rand(1, 3, 12, 12, generator=torch.Generator().manual_seed(0)) * 255
    enlarged = torch.nn.functional.interpolate(image, scale_factor=4)
    with torch.no_grad():
        assert float((network(image) - enlarged).abs().mean()) < 10


def test_a_network_ends_at_its_first_identity():
    made = space()
    architecture = made.parse({"width": 16, "blocks": ["res3", "rep3"]})
    later = dict(architecture.choices) | {"block_7": "res3", "expand_2": "3"}
    again = made.canonical(type(architecture)(made.name, later))
    assert again == architecture
    assert made.format(again)["blocks"] == ["res3", "rep3"]


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ({"blocks": ["res3"]}, "width: missing"),
        ({"width": 16, "blocks": ["res4"]}, "did you mean 'res3'"),
        ({"width": 17, "blocks": ["res3"]}, "width: unknown option '17'"),
        ({"width": 16, "blocks": [["res3", 2]]}, "'res3' has no expansion"),
        ({"width": 16, "blocks": [["next5", True]]}, "block 1: expected an operation"),
        ({"width": 16, "blocks": [["next5", 9]]}, "expand_1: unknown option '9'"),
        ({"width": 16, "blocks": ["res3"] * 17}, "at most 16"),
        ({"width": 16, "blocks": "res3"}, "blocks: expected a list"),
        ({"width": 16, "blocks": ["res3"], "tail": 5}, "tail: unknown option '5'"),
        ({"width": 16, "blocks": ["res3"], "fusion": "yes"}, "fusion: expected true or false"),
        ({"width": 16, "blocks": ["res3"], "tial": 3}, "did you mean 'tail'"),
    ],
)
def test_what_cannot_be_read_is_said(value, message):
    with pytest.raises(InputError, match=message):
        space().parse(value)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"widths": []}, "widths: at least one"),
        ({"widths": [16, 16]}, "widths: name each once"),
        ({"operations": ["identity"]}, "another one than identity"),
        ({"operations": ["res3", "res3"]}, "operations: name each once"),
        ({"tails": [2]}, "tails: kernel sizes are odd"),
        ({"skips": ["nearby"]}, "skips"),
        ({"scale": 5}, "scale: must be <= 4, got 5|scale: must be at most|scale"),
        ({"expansions": [0]}, "expansions"),
    ],
)
def test_options_that_make_no_space_are_refused(options, message):
    with pytest.raises(ConfigError, match=message):
        space(**options)


def test_an_operation_of_another_plugin_may_be_named():
    made = space(operations=["identity", "conv3", "dsep5", "inv3"])
    architecture = made.parse({"width": 16, "blocks": ["dsep5", "inv3"]})
    image = torch.rand(1, 3, 6, 7) * 255
    assert made.build(architecture)(image).shape == (1, 3, 24, 28)


def test_a_picture_is_drawn(tmp_path):
    made = space()
    value = {"width": 16, "blocks": ["res3", ["gate3", 2], "esa"], "fusion": True}
    made.draw(made.parse(value), tmp_path / "network")
    text = (tmp_path / "network.svg").read_text()
    assert all(word in text for word in ("gate3", "esa", "fuses all blocks", "nearest"))
