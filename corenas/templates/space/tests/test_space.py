import pytest
import torch
from corenas import SearchSpace, choose, structure
from corenas.cost import count
from corenas.testing.contracts import SearchSpaceContract

from plugin_name.config import Options
from plugin_name.space import Space


class TestSpace(SearchSpaceContract):
    @pytest.fixture
    def space(self) -> SearchSpace:
        found: SearchSpace = choose("search_spaces", "plugin-name").build()
        return found


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_networks_enlarge_by_the_factor(scale: int) -> None:
    space = Space(structure(Options, {"scale": scale}))
    network = space.build(space.parse({"width": 8, "kernels": [1, 3, 5]}))
    assert network(torch.zeros(2, 3, 7, 9)).shape == (2, 3, 7 * scale, 9 * scale)


def test_plain_network_has_the_parameters_that_its_layers_say() -> None:
    space = Space(structure(Options))
    (plain,) = space.known.values()
    first, block, last = 3 * 9 * 16 + 16, 16 * 9 * 16 + 16 + 16, 16 * 9 * 12 + 12
    assert count(space.build(plain), (1, 3, 8, 8)).params == first + block + last
