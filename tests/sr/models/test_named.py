"""Networks by what a person calls them."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from corenas import InputError, UnknownName, choose
from corenas.testing.installed import InstallPlugin
from corenas_sr.models.files import load_model
from corenas_sr.models.named import at_scale, find_architecture, scale_of

WriteModel = Callable[..., Path]

SPACES = """
from attrs import frozen

from corenas import Architecture, Component, hookimpl, option


@hookimpl
def corenas_search_spaces():
    return [
        Component("a-scaleless", "spaces:Scaleless"),
        Component("b-threefold", "spaces:Threefold", ThreefoldConfig),
    ]


@frozen
class ThreefoldConfig:
    scale: int = option(3, "the only one", choices=(3,))


class Scaleless:
    name = "a-scaleless"
    decisions = ()
    known = {"scaleless/one": Architecture("a-scaleless", {})}

    def __init__(self, config):
        self.config = config


class Threefold(Scaleless):
    name = "b-threefold"
    known = {"threefold/one": Architecture("b-threefold", {})}
"""


@pytest.mark.parametrize("scale", [2, 4])
def test_published_architecture_is_found_by_name_at_any_scale(scale: int) -> None:
    named = find_architecture("tpsr/paper", scale=scale)
    assert scale_of(named.space) == scale
    assert named.architecture == named.space.build().known["tpsr/paper"]


def test_scale_is_the_spaces_own_when_none_is_given() -> None:
    own = choose("search_spaces", "tpsr-generator")
    assert find_architecture("tpsr/paper").space == own == at_scale(own, None)


def test_model_file_brings_space_and_architecture_with_it(write_model: WriteModel) -> None:
    file = write_model(scale=2, channels=8)
    saved = load_model(file)
    same, larger = find_architecture(str(file)), find_architecture(str(file), scale=4)
    assert same.space == saved.space
    assert (scale_of(larger.space), larger.space.config.channels) == (4, 8)
    assert same.architecture == larger.architecture == saved.architecture


def test_cell_of_a_space_is_read_from_a_file(tmp_path: Path) -> None:
    paper = find_architecture("tpsr/paper", scale=4)
    file = tmp_path / "cell.json"
    file.write_text(json.dumps(paper.space.build().format(paper.architecture)))
    assert find_architecture("tpsr-generator", scale=4, cell=file) == paper


def test_spaces_that_lack_the_scale_do_not_hide_the_others(install_plugin: InstallPlugin) -> None:
    install_plugin("spaces", SPACES)
    assert scale_of(find_architecture("tpsr/paper", scale=2).space) == 2
    assert scale_of(find_architecture("threefold/one").space) == 3
    with pytest.raises(InputError, match="scale: must be one of 3, got 2"):
        find_architecture("threefold/one", scale=2)


def test_space_without_scale_is_refused_where_one_is_needed(install_plugin: InstallPlugin) -> None:
    install_plugin("spaces", SPACES)
    named = find_architecture("scaleless/one")
    for ask in (lambda: scale_of(named.space), lambda: at_scale(named.space, 2)):
        with pytest.raises(InputError, match="the space 'a-scaleless' has no option 'scale'"):
            ask()


def test_unknown_name_is_refused_with_the_nearest(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"'tpsr/papr' is neither .* did you mean 'tpsr/paper'\?"):
        find_architecture("tpsr/papr")
    with pytest.raises(UnknownName, match=r"did you mean 'tpsr-generator'\?"):
        find_architecture("tpsr-generater", cell=tmp_path / "cell.json")
