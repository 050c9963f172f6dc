"""The supernet of the space of tiny networks: contracts, and the corners of depth and fusion."""

from itertools import product

import pytest
import torch

from corenas import structure
from corenas.supernets.mixtures import one_hot
from corenas.testing.contracts import SupernetContract
from corenas_tiny.space.config import TinySpaceConfig
from corenas_tiny.space.space import TinySpace


def make(**options):
    small = {
        "scale": 2,
        "blocks": 3,
        "widths": [4, 8],
        "operations": ["identity", "res3", "next5", "cca"],
        "expansions": [2, 1],
    }
    return TinySpace(structure(TinySpaceConfig, small, options))


class TestSupernet(SupernetContract):
    @pytest.fixture(params=[{}, {"scale": 3, "operations": ["res3", "next5"], "blocks": 2}])
    def space(self, request):
        return make(**request.param)

    def inputs(self):
        return 255 * torch.rand(2, 3, 7, 6, generator=torch.Generator().manual_seed(0))

    def cost(self, space, architecture):
        scale = space.config.scale
        return space.cost(architecture, height=720 // scale, width=1280 // scale).mult_adds


@pytest.mark.parametrize("depth", range(4))
def test_every_depth_with_and_without_fusion_is_the_derived_network(depth):
    space = make()
    supernet = space.supernet().eval()
    x = 255 * torch.rand(1, 3, 6, 6, generator=torch.Generator().manual_seed(0))
    for fusion, tail, skip in product((False, True), (1, 3), ("none", "nearest", "bicubic")):
        blocks = ["res3", ["next5", 1], "cca"][:depth]
        value = {"width": 8, "blocks": blocks, "fusion": fusion, "tail": tail, "skip": skip}
        architecture = space.parse(value)
        with torch.no_grad():
            found = supernet(x, one_hot(space, architecture))
            expected = supernet.inherit(architecture)(x)
        assert (found - expected).abs().max() <= 1e-5 * expected.abs().max()
        cost = space.cost(architecture, height=360, width=640).mult_adds
        assert float(supernet.expected_cost(one_hot(space, architecture))) == cost
