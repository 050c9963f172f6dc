"""Diagrams of generators and discriminators, read back from their SVG files."""

from __future__ import annotations

import random
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING
from xml.etree import ElementTree

import pytest
import torch
from attrs import evolve, frozen

from corenas import Architecture, InputError, choose
from corenas.drawing import _canvas as canvas
from corenas_tpsr.discriminator._diagrams import draw_discriminator
from corenas_tpsr.discriminator.space import DiscriminatorSpace
from corenas_tpsr.generator.diagrams import draw_generator
from corenas_tpsr.generator.space import PAPER_CELL, GeneratorSpace

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SVG = "{http://www.w3.org/2000/svg}"


@pytest.fixture(autouse=True)
def svg_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let diagrams write no PNG, which takes longer and is tested elsewhere."""
    save = canvas.save_figure

    def save_svg(figure: Figure, path: Path) -> None:
        if path.suffix == ".svg":
            save(figure, path)

    monkeypatch.setattr(canvas, "save_figure", save_svg)


@frozen
class Drawn:
    """What an SVG file holds: its texts in order, and the ids of its parts without the prefix."""

    texts: list[str]
    nodes: list[str]
    edges: set[str]
    groups: list[str]


def read(path: Path) -> Drawn:
    root = ElementTree.parse(path.with_suffix(".svg"))
    ids = [element.get("id", "") for element in root.iter(f"{SVG}g")]
    return Drawn(
        ["".join(element.itertext()) for element in root.iter(f"{SVG}text")],
        [name.removeprefix("node-") for name in ids if name.startswith("node-")],
        {name.removeprefix("edge-") for name in ids if name.startswith("edge-")},
        [name for name in ids if name.startswith("group-")],
    )


def after(texts: Sequence[str], label: str) -> list[str]:
    """The texts that follow a label directly: the notes of the boxes that bear it."""
    return [b for a, b in pairwise(texts) if a == label]


def generators(**options: object) -> GeneratorSpace:
    chosen = choose("search_spaces", "tpsr-generator")
    built: GeneratorSpace = evolve(chosen, config=evolve(chosen.config, **options)).build()
    return built


def discriminators(**options: object) -> DiscriminatorSpace:
    chosen = choose("search_spaces", "tpsr-discriminator")
    built: DiscriminatorSpace = evolve(chosen, config=evolve(chosen.config, **options)).build()
    return built


def random_member(space: GeneratorSpace | DiscriminatorSpace, seed: int) -> Architecture:
    draw = random.Random(seed)
    return Architecture(space.name, {d.name: draw.choice(d.options) for d in space.decisions})


def test_published_cell_is_drawn_with_its_operations_leaves_and_cost(tmp_path: Path) -> None:
    space = generators()
    draw_generator(tmp_path / "paper", space, space.known["tpsr/paper"])
    drawn = read(tmp_path / "paper")
    assert sorted(drawn.nodes) == sorted(
        ["image", "head", *(f"node-{i}" for i in range(1, 11)), "sum", "merge", "up1", "output"]
    )
    cell = {
        f"{f'node-{source}' if source else 'head'}-node-{i}"
        for i, (_, source) in enumerate(PAPER_CELL, start=1)
    }
    assert drawn.edges == cell | {
        *("image-head", "node-7-sum", "node-9-sum", "node-10-sum"),
        *("sum-merge", "merge-up1", "up1-output"),
    }
    assert len(drawn.groups) == 1
    assert "tpsr/paper, ×2" in drawn.texts
    for number, (operation, _) in enumerate(PAPER_CELL, start=1):
        leaf = ", leaf" if number in (7, 9, 10) else ""
        assert f"node {number}{leaf}" in after(drawn.texts, operation)
    (footer,) = [text for text in drawn.texts if "mult-adds" in text]
    assert footer.startswith("60.8 K parameters, 13.95 G mult-adds at 1280×720")


def test_second_up_sampler_stands_at_scale_four(tmp_path: Path) -> None:
    space = generators(scale=4)
    draw_generator(tmp_path / "x4", space, space.known["tpsr/paper"])
    drawn = read(tmp_path / "x4")
    assert {"merge-up1", "up1-up2", "up2-output"} <= drawn.edges
    notes = after(drawn.texts, "up-sampler ×2")
    assert notes == ["conv3 16 → 12, pixel shuffle", "conv3 3 → 12, pixel shuffle"]
    assert any(text.startswith("61.1 K parameters, 3.56 G") for text in drawn.texts)


@pytest.mark.parametrize("merged", [False, True])
def test_single_leaf_is_not_summed(tmp_path: Path, merged: bool) -> None:
    space = generators(nodes=2, merge_single_leaf=merged)
    draw_generator(tmp_path / "a", space, space.parse([["se", 0], ["identity", 1]]))
    drawn = read(tmp_path / "a")
    assert "sum" not in drawn.nodes
    assert ("merge" in drawn.nodes) == merged
    assert ("node-2-merge" if merged else "node-2-up1") in drawn.edges
    assert {"channel gate", "identity"} <= set(drawn.texts)


def test_foreign_operation_has_a_kind_of_its_own(tmp_path: Path) -> None:
    known = choose("operations", "conv3")
    operations = (evolve(known, name="swish"), known)
    space = generators(nodes=2, operations=operations)
    draw_generator(tmp_path / "a", space, space.parse([["swish", 0], ["conv3", 0]]))
    assert {"swish", "other operation", "convolution"} <= set(read(tmp_path / "a").texts)


def test_discriminator_is_a_chain_with_the_size_of_each_map(tmp_path: Path) -> None:
    space = discriminators()
    architecture = random_member(space, 5)
    draw_discriminator(tmp_path / "d", space, architecture)
    drawn = read(tmp_path / "d")
    blocks = [f"{kind}-{i}" for i in range(1, 6) for kind in ("op", "rop")]
    order = ["patch", "stem", *blocks, "linear-1"]
    assert drawn.nodes == order
    assert drawn.edges == {f"{a}-{b}" for a, b in pairwise(order)}
    assert len(drawn.groups) == 5
    assert after(drawn.texts, "patch") == ["3 × 96 × 96"]
    for i in range(5):
        channels, side = 16 * 2**i, 96 // 2**i
        kept = after(drawn.texts, architecture[f"op_{i + 1}"])
        reduced = after(drawn.texts, architecture[f"rop_{i + 1}"])
        assert f"{channels} × {side} × {side}" in kept
        assert f"{2 * channels} × {side // 2} × {side // 2}" in reduced
    assert after(drawn.texts, "linear") == ["4608 → 1"]


def test_discriminator_follows_its_options(tmp_path: Path) -> None:
    space = discriminators(blocks=2, patch=8, channels=8, stem="conv1", bottleneck=7)
    member = space.parse([["conv3", "reduce-conv1"], ["identity", "reduce-gconv3"]])
    draw_discriminator(tmp_path / "d", space, member)
    texts = read(tmp_path / "d").texts
    assert after(texts, "conv1") == ["8 × 8 × 8"]
    assert after(texts, "linear") == ["128 → 7", "7 → 1"]
    cost = space.cost(member)
    (footer,) = [text for text in texts if "mult-adds" in text]
    assert footer.startswith(f"{cost.params / 1000:.2f} K parameters, ")
    assert "for a patch of 8×8" in footer


def test_architecture_of_another_space_is_refused(tmp_path: Path) -> None:
    generator, discriminator = generators(), discriminators()
    with pytest.raises(InputError, match="belongs to the space 'tpsr-discriminator'"):
        draw_generator(tmp_path / "a", generator, random_member(discriminator, 0))
    with pytest.raises(InputError, match="belongs to the space 'tpsr-generator'"):
        draw_discriminator(tmp_path / "a", discriminator, random_member(generator, 0))
    assert not any(tmp_path.iterdir())


def test_drawing_leaves_the_random_state_alone(tmp_path: Path) -> None:
    before = torch.get_rng_state()
    space = discriminators(blocks=1, patch=8)
    draw_discriminator(tmp_path / "d", space, random_member(space, 0))
    assert torch.equal(torch.get_rng_state(), before)
