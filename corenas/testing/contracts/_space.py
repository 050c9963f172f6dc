"""What every search space promises."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
import torch
from attrs import evolve

from corenas.errors import InputError
from corenas.protocols import SearchSpace
from corenas.values.architecture import Architecture


def random_architectures(space: SearchSpace, count: int, *, seed: int = 0) -> list[Architecture]:
    """Draw architectures whose inactive decisions are random as well: not canonical ones."""
    generator = np.random.default_rng(seed)
    return [
        Architecture(
            space.name,
            {d.name: d.options[generator.integers(len(d.options))] for d in space.decisions},
        )
        for _ in range(count)
    ]


class SearchSpaceContract:
    """What every `SearchSpace` promises."""

    @pytest.fixture
    def space(self) -> SearchSpace:
        raise NotImplementedError

    def test_decisions_have_distinct_names(self, space: SearchSpace) -> None:
        names = [decision.name for decision in space.decisions]
        assert len(set(names)) == len(names) > 0

    def test_every_combination_of_options_is_of_the_space(self, space: SearchSpace) -> None:
        assert {space.check(a) for a in random_architectures(space, 20)} == {""}

    def test_check_says_what_does_not_fit(self, space: SearchSpace) -> None:
        (architecture,) = random_architectures(space, 1)
        choices = dict(architecture.choices)
        first = space.decisions[0].name
        missing = {name: option for name, option in choices.items() if name != first}
        for wrong in (
            evolve(architecture, space="another-space"),
            evolve(architecture, choices=missing),
            evolve(architecture, choices={**choices, first: "no such option"}),
            evolve(architecture, choices={**choices, "no such decision": "1"}),
        ):
            assert space.check(wrong) != ""

    def test_canonical_form_is_its_own_and_keeps_what_is_active(self, space: SearchSpace) -> None:
        for architecture in random_architectures(space, 20):
            canonical = space.canonical(architecture)
            assert space.canonical(canonical) == canonical
            assert space.check(canonical) == ""
            active = {decision.name for decision in space.active(architecture)}
            assert active == {decision.name for decision in space.active(canonical)}
            for decision in space.decisions:
                kept = architecture[decision.name]
                expected = kept if decision.name in active else decision.options[0]
                assert canonical[decision.name] == expected

    def test_one_network_has_one_id_and_others_have_others(self, space: SearchSpace) -> None:
        for architecture in random_architectures(space, 20):
            canonical = space.canonical(architecture)
            active = {decision.name for decision in space.active(architecture)}
            for decision in space.decisions:
                choices = {**dict(architecture.choices), decision.name: decision.options[-1]}
                changed = space.canonical(Architecture(space.name, choices))
                differs = architecture[decision.name] != decision.options[-1]
                same = not (differs and decision.name in active)
                assert (changed.id == canonical.id) == same

    def test_parse_reads_what_format_gives(self, space: SearchSpace) -> None:
        for architecture in map(space.canonical, random_architectures(space, 20)):
            written = json.dumps(space.format(architecture))
            assert space.parse(json.loads(written)) == architecture

    @pytest.mark.parametrize("value", [None, 3, "nonsense", [], {"nonsense": 1}, [["nonsense"]]])
    def test_parse_says_what_it_cannot_read(self, space: SearchSpace, value: Any) -> None:
        with pytest.raises(InputError):
            space.parse(value)

    def test_architecture_survives_json(self, space: SearchSpace) -> None:
        for architecture in map(space.canonical, random_architectures(space, 20)):
            read = Architecture.from_json(json.loads(json.dumps(architecture.to_json())))
            assert read == architecture
            assert read.id == architecture.id

    def test_known_architectures_are_canonical_ones_of_the_space(self, space: SearchSpace) -> None:
        for architecture in space.known.values():
            assert space.check(architecture) == ""
            assert space.canonical(architecture) == architecture

    def test_build_is_repeatable_and_ignores_what_is_inactive(self, space: SearchSpace) -> None:
        for architecture in random_architectures(space, 3):
            with torch.random.fork_rng(devices=[]):
                torch.manual_seed(0)
                module = space.build(architecture)
                torch.manual_seed(0)
                again = space.build(space.canonical(architecture))
            assert isinstance(module, torch.nn.Module)
            expected = again.state_dict()
            assert module.state_dict().keys() == expected.keys()
            for name, tensor in module.state_dict().items():
                assert torch.equal(tensor, expected[name])
