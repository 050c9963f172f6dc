"""The pages of docs/reference say what the code says, and plugins use only what they list."""

import ast
from pathlib import Path

import pytest

import corenas
from corenas.testing.reference import COMMAND, pages, public_modules

ROOT = Path(__file__).parents[2]
PAGES = ROOT / "docs/reference"
USERS = [*ROOT.glob("plugins/*/*/"), *ROOT.glob("examples/*/*/")]
"""Our own plugins and examples, which use the core as a stranger's do."""


@pytest.fixture(scope="module")
def made():
    return pages()


@pytest.mark.parametrize("name", ["api.md", "options.md", "hooks.md"])
def test_page_is_what_the_code_says(made, name):
    text = (PAGES / name).read_text(encoding="utf-8")
    assert text == made[name], f"renew the page: {COMMAND}"


def used_of_the_core(path):
    """Yield what a file takes from the core as module and name, for type checkers alone too."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            assert not any(alias.name.split(".")[0] == "corenas" for alias in node.names), path
        elif isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "corenas":
            yield from ((node.module, alias.name) for alias in node.names)


@pytest.mark.parametrize("folder", USERS, ids=lambda folder: folder.name)
def test_plugins_use_only_what_is_public(folder):
    """Public is what has a docstring and no leading underscore, in a module without one either.

    It is also what the ``__all__`` of such a module lists, as `corenas` itself does.
    """
    modules = public_modules()
    public = {(m.name, each.name) for m in modules.values() for each in m.names}
    used = {use for path in folder.rglob("*.py") for use in used_of_the_core(path)}
    strays = {f"{module}: {name}" for module, name in used - public}
    assert {stray for stray in strays if stray.replace(": ", ".") not in modules} == set()


def test_what_the_core_offers_itself_is_documented():
    listed = {each.name for each in public_modules()["corenas"].names}
    assert listed == set(corenas.__all__)
    assert [each.name for each in public_modules()["corenas"].names if not each.summary] == []


def test_every_public_module_says_what_it_is_for():
    assert [module.name for module in public_modules().values() if not module.summary] == []
