"""The supernet of the generator space: contracts, leaves by chance, and a search in it."""

from itertools import product

import pytest
import torch

from corenas import structure
from corenas.supernets.mixtures import mixtures, one_hot
from corenas.testing.contracts import SupernetContract
from corenas_tpsr.generator.config import GeneratorSpaceConfig
from corenas_tpsr.generator.network import leaves
from corenas_tpsr.generator.space import GeneratorSpace


def make(**options):
    small = {"nodes": 4, "channels": 8, "operations": ["conv1", "dsep3", "inv3", "se", "identity"]}
    return GeneratorSpace(structure(GeneratorSpaceConfig, small, options))


class TestSupernet(SupernetContract):
    @pytest.fixture(params=[{}, {"scale": 4}, {"merge_single_leaf": True, "nodes": 3}])
    def space(self, request):
        return make(**request.param)

    def inputs(self):
        return 255 * torch.rand(2, 3, 7, 6, generator=torch.Generator().manual_seed(0))

    def cost(self, space, architecture):
        scale = space.config.scale
        return space.cost(architecture, height=720 // scale, width=1280 // scale).mult_adds


@pytest.mark.parametrize("merged", [False, True])
def test_chain_and_star_are_the_derived_networks(merged):
    space = make(merge_single_leaf=merged)
    supernet = space.supernet().eval()
    x = 255 * torch.rand(1, 3, 5, 5)
    with torch.no_grad():
        supernet.merge.weight.fill_(-1.5)  # far from the identity
        for sources in ((0, 1, 2, 3), (0, 0, 0, 0), (0, 0, 1, 2)):
            chosen = space.parse([["conv1", source] for source in sources])
            found, expected = supernet(x, one_hot(space, chosen)), supernet.inherit(chosen)(x)
            assert (found - expected).abs().max() <= 1e-5 * expected.abs().max()


def test_leaves_and_chains_weigh_what_their_chances_are():
    space = make()
    supernet = space.supernet()
    generator = torch.Generator().manual_seed(4)
    point = {
        decision.name: torch.rand(len(decision.options), generator=generator).double()
        for decision in space.decisions
    }
    point = {name: weights / weights.sum() for name, weights in point.items()}
    chosen = mixtures(point, space.decisions)
    # Every wiring with its chance, counted one by one.
    expected, chain = dict.fromkeys(range(1, 5), 0.0), 0.0
    for sources in product(*(range(node) for node in range(1, 5))):
        chance = 1.0
        for node, source in enumerate(sources, start=1):
            chance *= float(point[f"in_{node}"][source])
        for leaf in leaves(sources):
            expected[leaf] += chance
        chain += chance * (len(leaves(sources)) == 1)
    found = {leaf: float(weight) for leaf, weight in supernet._leaves(chosen).items()}
    assert found == pytest.approx(expected, abs=1e-12)
    assert float(supernet._chain(chosen)) == pytest.approx(chain, abs=1e-12)
