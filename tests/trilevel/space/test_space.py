import pickle
import subprocess
import sys
from itertools import pairwise

import pytest
import torch

from corenas.errors import ConfigError, InputError
from corenas.protocols import Relaxable
from corenas.testing.contracts import SearchSpaceContract
from corenas.values.architecture import Architecture
from corenas_trilevel.space.config import SpaceConfig, TrilevelAConfig, TrilevelBConfig
from corenas_trilevel.space.paths import PathTree, cell_steps
from corenas_trilevel.space.space import TrilevelSpace

A = TrilevelSpace(TrilevelAConfig())
B = TrilevelSpace(TrilevelBConfig())
SMALL = {"cells": 3, "searched_cells": 2, "widths": (3, 5, 6), "features": 6}


class TestBackboneA(SearchSpaceContract):
    @pytest.fixture
    def space(self):
        return A


class TestBackboneB(SearchSpaceContract):
    @pytest.fixture
    def space(self):
        return B


class TestSmallSpace(SearchSpaceContract):
    @pytest.fixture
    def space(self):
        return TrilevelSpace(TrilevelBConfig(**SMALL, ups=0, scale=3))


@pytest.mark.parametrize(
    ("shape", "nodes", "cells", "ups", "complete", "enlarged"),
    [
        ((5, 4, 2), 55, 35, 20, 15, 35),
        ((5, 3, 2), 34, 21, 14, 10, 20),
        ((5, 2, 2), 19, 12, 9, 6, 10),
    ],
)
def test_tree_has_the_published_sizes(shape, nodes, cells, ups, complete, enlarged):
    tree = PathTree(*shape)
    prefixes = tree.prefixes()
    assert len(prefixes) == len(set(prefixes)) == nodes
    assert len(tree.cell_prefixes()) == cells
    assert sum(prefix.endswith("1") for prefix in prefixes) == ups
    assert len(tree.complete()) == complete
    assert sum(prefix.count("1") == 2 for prefix in prefixes) == enlarged


@pytest.mark.parametrize(
    ("prefix", "node", "cells"),
    [
        ("000", 36, [0, 1, 16]),
        ("000001", 53, [0, 1, 16, 26, 32]),
        ("0011", 23, [0, 1]),
        ("000101", 42, [0, 1, 16, 27]),
    ],
)
def test_nodes_and_cells_have_the_published_numbers(prefix, node, cells):
    tree = PathTree(5, 4, 2)
    assert tree.prefixes().index(prefix) == node
    assert [tree.cell_prefixes().index(step) for step in cell_steps(prefix)] == cells


def test_spaces_have_the_published_sizes():
    assert (len(A.candidates), len(A.cells)) == (35, 35)
    assert (len(B.candidates), len(B.cells)) == (55, 35)
    for space in (A, B):
        assert len(space.decisions) == 1 + 35 * 9
        assert space.decisions[0].options == space.candidates
        assert [len(d.options) for d in space.decisions[1:10]] == [4] * 5 + [5] * 4


def test_chains_lead_from_shallow_to_deep_along_each_complete_path():
    assert len(A.chains) == len(B.chains) == 15
    in_a = [index for chain in A.chains for index in chain]
    assert sorted(in_a) == list(range(35))
    assert {chain[0] for chain in B.chains} == {B.candidates.index("0")}
    for space in (A, B):
        for chain in space.chains:
            prefixes = [space.candidates[index] for index in chain]
            assert all(b[:-1] == a for a, b in pairwise(prefixes))
            assert prefixes[-1].count("0") == 5
            assert prefixes[-1].count("1") == 2


def test_both_spaces_are_relaxable():
    assert isinstance(A, Relaxable)
    assert isinstance(B, Relaxable)


def test_published_architectures_are_known_by_name():
    assert list(A.known) == ["trilevel-a/table-1"]
    assert list(B.known) == ["trilevel-b/table-3"]
    written = B.format(B.known["trilevel-b/table-3"])
    assert written["path"] == "000001"
    assert written["cells"][0] == [
        ["conv1", 32],
        ["conv1", 24],
        ["dws", 64],
        ["dws", 24],
        ["conv1", 64],
    ]
    assert A.format(A.known["trilevel-a/table-1"])["path"] == "000101"
    assert list(TrilevelSpace(TrilevelAConfig(share_up=True)).known) == ["trilevel-a/table-1"]


@pytest.mark.parametrize(
    "config", [TrilevelAConfig(scale=2), TrilevelBConfig(scale=3), TrilevelBConfig(cells=6)]
)
def test_another_space_has_no_published_architectures(config):
    assert TrilevelSpace(config).known == {}


def test_only_cells_on_the_path_are_active():
    architecture = A.known["trilevel-a/table-1"]
    active = [decision.name for decision in A.active(architecture)]
    assert active[0] == "path"
    cells = ("0", "00", "000", "00010")
    assert [name for name in active if name.endswith("operation-5")] == [
        f"cell-{cell}-operation-5" for cell in cells
    ]
    assert len(active) == 1 + 4 * 9


@pytest.mark.parametrize(
    "config",
    [
        TrilevelAConfig(**SMALL, scale=2),
        TrilevelAConfig(**SMALL, scale=4),
        TrilevelAConfig(**SMALL, scale=8),
        TrilevelBConfig(**SMALL, scale=1),
        TrilevelBConfig(**SMALL, scale=3, ups=3),
    ],
)
def test_network_enlarges_by_the_scale_into_the_range_of_images(config: SpaceConfig):
    torch.manual_seed(0)
    space = TrilevelSpace(config)
    for path in space.candidates:
        choices = {d.name: d.options[-1] for d in space.decisions} | {"path": path}
        network = space.build(Architecture(space.name, choices))
        y = network(255 * torch.rand(2, 3, 5, 4))
        assert y.shape == (2, 3, 5 * config.scale, 4 * config.scale)
        assert 0 <= y.min() < y.max() <= 255


@pytest.mark.parametrize("config", [TrilevelAConfig(**SMALL), TrilevelBConfig(**SMALL)])
def test_images_are_in_0_to_255_outside_and_in_0_to_1_inside(config: SpaceConfig):
    space = TrilevelSpace(config)
    architecture = Architecture(space.name, {d.name: d.options[0] for d in space.decisions})
    network, seen = space.build(architecture), []
    network.head.register_forward_hook(lambda module, inputs, output: seen.append(inputs[0]))
    x = 255 * torch.rand(1, 3, 5, 4)
    for bias, expected in ((-50.0, 0.0), (0.0, 127.5), (50.0, 255.0)):
        last = [layer for layer in network.tail if isinstance(layer, torch.nn.Conv2d)][-1]
        torch.nn.init.zeros_(last.weight)
        torch.nn.init.constant_(last.bias, bias)
        assert (network(x) == expected).all()
    assert torch.equal(seen[0], x / 255)


def test_networks_depend_on_every_active_decision():
    architecture = B.known["trilevel-b/table-3"]
    shapes = {name: tensor.shape for name, tensor in B.build(architecture).state_dict().items()}
    for decision in B.active(architecture):
        other = next(o for o in decision.options if o != architecture[decision.name])
        choices = dict(architecture.choices) | {decision.name: other}
        changed = B.build(Architecture(B.name, choices)).state_dict()
        assert {name: tensor.shape for name, tensor in changed.items()} != shapes


def test_building_another_spaces_architecture_is_refused():
    with pytest.raises(InputError, match="belongs to the space 'trilevel-b', not 'trilevel-a'"):
        A.build(B.known["trilevel-b/table-3"])


CELL = [["conv1", 24], ["conv3", 32], ["res", 40], ["dws", 56], ["conv1", 64]]


def changed(place: int, pair: object) -> dict[str, object]:
    return {"path": "00", "cells": [CELL, [*CELL[:place], pair, *CELL[place + 1 :]]]}


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ({"path": "00"}, "expected a table with path and cells"),
        ({"path": "00", "cells": [CELL, CELL], "scale": 4}, "expected a table with path and cells"),
        ({"path": "0000010", "cells": []}, "path: unknown path '0000010'; did you mean"),
        ({"path": 7, "cells": []}, "path: unknown path 7"),
        ({"path": "00", "cells": [CELL]}, "cells: expected a list of 2, as many cells as zeros"),
        ({"path": "00", "cells": [CELL, CELL[:4]]}, r"cells\[1\]: expected a list of 5"),
        (changed(2, ["res"]), r"cells\[1\]\[2\]: expected a list of 2, an operation and its width"),
        (changed(0, ["conv5", 24]), r"cells\[1\]\[0\]: unknown operation 'conv5'; did you mean"),
        (changed(3, [["dws"], 24]), r"cells\[1\]\[3\]: unknown operation \['dws'\]"),
        (changed(1, ["conv3", 48]), r"cells\[1\]\[1\]: width must be one of 24, 32, 40, 56, 64"),
        (changed(1, ["conv3", 32.0]), "width must be one of .*, got 32.0"),
        (changed(1, ["conv3", "32"]), "width must be one of .*, got '32'"),
        (changed(4, ["conv3", 32]), r"cells\[1\]\[4\]: width must be one of 64, got 32"),
    ],
)
def test_what_a_person_wrote_wrong_is_named(value, message):
    with pytest.raises(InputError, match=message):
        B.parse(value)


def test_space_survives_pickling():
    for space in (A, B):
        again = pickle.loads(pickle.dumps(space))
        assert again == space
        assert again.decisions == space.decisions


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"cells": 4, "searched_cells": 4}, "searched_cells: must be less than cells, 4, got 4"),
        ({"widths": (32, 24)}, r"widths: must be ascending and distinct, got \[32, 24\]"),
        ({"widths": (24, 24)}, "widths: must be ascending and distinct"),
        ({"widths": ()}, "widths: must be ascending and distinct"),
        ({"features": 32}, "widths: must be at most features, 32, got 64"),
        ({"widths": (0, 8)}, "widths: must be at least 1, got 0"),
    ],
)
@pytest.mark.parametrize("config", [TrilevelAConfig, TrilevelBConfig])
def test_options_that_make_no_space_are_refused(config, options, message):
    with pytest.raises(ConfigError, match=message):
        config(**options)


def test_configuration_needs_no_torch():
    code = "import sys, corenas_trilevel.space.config; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
