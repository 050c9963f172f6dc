"""A component whose packages are not installed is listed, and says what to install."""

import json
import sys

import pytest

from corenas.errors import ConfigError
from corenas.options.structuring import choose
from corenas.plugins.hookspecs import Component
from corenas.plugins.needs import Needs
from corenas.plugins.registry import default_registry

SOURCE = """
from corenas import Component, hookimpl
from corenas.plugins.needs import Needs

@hookimpl
def corenas_strategies():
    return [
        Component("far", "no_such_package:far", summary="s", needs=Needs({}, {}))
    ]
"""


def lacking(install_plugin, modules=("json", "no_such_package")):
    install_plugin("far-away", SOURCE.format(repr("corenas[far]"), repr(modules)))


@pytest.mark.parametrize(
    ("modules", "expected"),
    [(("json",), ""), (("json", "no_such_package"), "corenas[far]"), ((), "")],
)
def test_what_lacks_is_found_without_importing(modules, expected):
    needs = Needs("corenas[far]", modules)
    assert needs.lacking == expected
    assert Component("far", "a:b", needs=needs).lacks == expected
    assert Component("near", "a:b").lacks == ""


def test_plugin_works_and_its_component_is_listed_with_what_it_needs(install_plugin, command):
    lacking(install_plugin)
    status = {each.name: each.error for each in default_registry().plugins}
    assert status["far-away"] == ""
    listed = command("list", "strategies").out
    assert "needs corenas[far]: s" in listed
    described = json.loads(command("list", "strategies", "--json").out)["strategies"]
    needs = {one["name"]: one.get("needs") for one in described}
    assert needs["far"] == "corenas[far]"
    assert needs["random"] is None
    assert command("plugins").status == 0


def test_building_it_says_what_to_install(install_plugin):
    lacking(install_plugin)
    with pytest.raises(ConfigError, match=r"strategy 'far' needs corenas\[far\]: pip install"):
        choose("strategies", "far").build()


def test_needs_of_another_type_break_the_plugin(install_plugin):
    install_plugin("far-away", SOURCE.replace("Needs({}, {})", "'corenas[far]'"))
    (status,) = [each for each in default_registry().plugins if each.name == "far-away"]
    assert "needs must be a Needs" in status.error


def test_core_start_does_not_import_optuna():
    """In a new process: tests of this one have imported it."""
    import subprocess

    code = "import corenas.cli, sys; from corenas.plugins.registry import default_registry as r; "
    code += "r(); assert not {'optuna', 'scipy'} & set(sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
