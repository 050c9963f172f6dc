"""Who imports whom, as docs/design.md says: for every module of every package, by its source.

What a plugin may use of the core is decided by names: `test_surface.py`.
"""

import ast
import os
import subprocess
import sys
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
EXAMPLES = {path.parent.name: path.parent for path in ROOT.glob("examples/*/*/__init__.py")}
PACKAGES = {
    "corenas": ROOT / "corenas",
    "corenas_sr": ROOT / "plugins/sr/corenas_sr",
    "corenas_tpsr": ROOT / "plugins/tpsr/corenas_tpsr",
    "corenas_tiny": ROOT / "plugins/tiny/corenas_tiny",
    "corenas_oneshot": ROOT / "plugins/oneshot/corenas_oneshot",
    "corenas_trilevel": ROOT / "plugins/trilevel/corenas_trilevel",
    "corenas_metrics": ROOT / "plugins/metrics/corenas_metrics",
    "corenas_optuna": ROOT / "plugins/optuna/corenas_optuna",
    "corenas_ray": ROOT / "plugins/ray/corenas_ray",
    "corenas_trackers": ROOT / "plugins/trackers/corenas_trackers",
    "corenas_export": ROOT / "plugins/export/corenas_export",
    **EXAMPLES,
}
ALLOWED = {
    "corenas": {"corenas"},
    "corenas_sr": {"corenas", "corenas_sr"},
    "corenas_tpsr": {"corenas", "corenas_sr", "corenas_tpsr"},
    "corenas_tiny": {"corenas", "corenas_sr", "corenas_tiny"},
    "corenas_oneshot": {"corenas", "corenas_oneshot"},
    # Its search is a configuration of the one-shot search of any space.
    "corenas_trilevel": {"corenas", "corenas_sr", "corenas_oneshot", "corenas_trilevel"},
    "corenas_metrics": {"corenas", "corenas_sr", "corenas_metrics"},
    "corenas_optuna": {"corenas", "corenas_optuna"},
    "corenas_ray": {"corenas", "corenas_ray"},
    "corenas_trackers": {"corenas", "corenas_trackers"},
    "corenas_export": {"corenas", "corenas_sr", "corenas_export"},
    **{name: {"corenas", name} for name in EXAMPLES},
}
LAYERS = (
    {"errors", "names", "files"},
    {"values", "stopping", "cost"},
    {"protocols", "devices"},
    {"plugins"},
    {"options"},
    {"search", "training", "supernets", "drawing", "show", "modelfile"},
    {"runs", "report", "tracking"},
    {"comparing"},
    {"builtin", "testing", "commands"},
    {"cli"},
)
"""The rooms and modules of the core; each imports from those of its line and above."""

CIRCLES: set[str] = set()
CROWDED = {
    "benchmarks",
    "plugins/metrics/corenas_metrics",
    "plugins/trilevel/corenas_trilevel/space",
}
LOOKING: set[str] = set()
LONG = {
    "tests/core/commands/test_cli.py",
    "tests/core/drawing/test_diagrams.py",
    "tests/core/options/test_config.py",
    "tests/core/plugins/test_registry.py",
    "tests/sr/commands/test_commands.py",
    "tests/tpsr/discriminator/test_discriminator.py",
    "tests/tpsr/generator/test_generator.py",
    "tests/tpsr/perceptual/test_perceptual.py",
    "tests/tpsr/test_survival.py",
    "tests/trilevel/test_trilevel_recipe.py",
}
"""What has not been put right yet. These lists must shrink: an entry that is needless fails."""


def find_modules() -> dict[str, Path]:
    """Return the files of all packages by the names of their modules."""
    found = {}
    for package, folder in PACKAGES.items():
        for path in folder.rglob("*.py"):
            if "templates" in path.parts:  # packages of others, once they are written
                continue
            parts = (package, *path.relative_to(folder).with_suffix("").parts)
            found[".".join(parts).removesuffix(".__init__")] = path
    return found


MODULES = find_modules()


def parse(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def imported(path: Path) -> Iterator[tuple[str, str]]:
    """Yield what a file imports when it runs, as module and name; not what type checkers see alone.

    An import of a whole module has no name. One inside a function counts: it runs as well.
    """
    tree = parse(path)
    skipped = {
        id(inner)
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and getattr(node.test, "id", "") == "TYPE_CHECKING"
        for inner in ast.walk(node)
    }
    for node in ast.walk(tree):
        if id(node) in skipped:
            continue
        if isinstance(node, ast.Import):
            yield from ((alias.name, "") for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{path} imports relatively"
            for alias in node.names:
                inner = f"{node.module}.{alias.name}"
                yield (inner, "") if inner in MODULES else (str(node.module), alias.name)


IMPORTS = {module: list(imported(path)) for module, path in MODULES.items()}
"""What each module imports. A package is its ``__init__``."""


def folder_of(module: str) -> Path:
    return MODULES[module].parent


def is_private(name: str) -> bool:
    return name.startswith("_") and not name.startswith("__")


@pytest.mark.parametrize("package", PACKAGES)
def test_packages_import_only_those_they_may(package):
    for module in MODULES:
        if module.split(".")[0] == package:
            others = {name.split(".")[0] for name, _ in IMPORTS[module]}
            known = {name for name in others if name.startswith("corenas")}
            assert known <= ALLOWED[package], module


def test_the_core_imports_downwards():
    level = {name: height for height, names in enumerate(LAYERS) for name in names}
    for module in MODULES:
        package, _, rest = module.partition(".")
        if package != "corenas" or not rest:
            continue
        here = level[rest.split(".")[0]]
        for name, _ in IMPORTS[module]:
            parts = name.split(".")
            if parts[0] == "corenas":
                assert len(parts) > 1, f"{module} imports the core's public face: a circle"
                assert level[parts[1]] <= here, f"{module} imports {name}"


def find_circle(known: set[str]) -> list[str]:
    """Return modules that import each other in a circle, without the known ones; or nothing."""
    graph = {
        module: {name for name, _ in found if name in MODULES and name != module} - known
        for module, found in IMPORTS.items()
        if module not in known
    }
    try:
        list(TopologicalSorter(graph).static_order())
    except CycleError as error:
        return list(error.args[1])
    return []


def test_no_modules_import_each_other_in_a_circle():
    assert find_circle(CIRCLES) == []
    for module in CIRCLES:
        assert find_circle(CIRCLES - {module}), f"{module} is in no circle now"


def test_private_modules_are_imported_from_their_own_folder():
    for module in MODULES:
        for name, _ in IMPORTS[module]:
            if name in MODULES and any(map(is_private, name.split("."))):
                assert folder_of(name) == folder_of(module), f"{module} imports {name}"


def test_private_names_are_imported_nowhere():
    for module in MODULES:
        assert [name for _, name in IMPORTS[module] if is_private(name)] == [], module


def asked_classes(path: Path) -> Iterator[str]:
    """Yield the config classes that a file asks for with isinstance."""
    for node in ast.walk(parse(path)):
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "isinstance":
            names = (getattr(each, "id", getattr(each, "attr", "")) for each in ast.walk(node))
            yield from (name for name in names if name.endswith("Config"))


def test_nobody_asks_for_another_components_options():
    """Components are asked, never looked at: none is known by the class of its options."""
    assert {module for module, path in MODULES.items() if any(asked_classes(path))} == LOOKING


def test_files_stay_readable():
    folders = (*PACKAGES.values(), ROOT / "tests", ROOT / "benchmarks")
    lines = {
        path.relative_to(ROOT).as_posix(): len(path.read_text(encoding="utf-8").splitlines())
        for folder in folders
        for path in folder.rglob("*.py")
    }
    assert {path for path, count in lines.items() if count >= 400} == LONG


def test_folders_stay_readable():
    folders = {path.parent for path in MODULES.values()} | {ROOT / "benchmarks"}
    folders |= {path.parent for path in (ROOT / "tests").rglob("*.py")}
    files = {f: [p for p in f.glob("*.py") if p.name != "__init__.py"] for f in folders}
    crowded = {f.relative_to(ROOT).as_posix() for f, found in files.items() if len(found) > 10}
    assert crowded == CROWDED


LIGHT = """
import sys, {0}
heavy = {{"torch", "numpy", "matplotlib", "rich"}}
sys.exit(sorted(heavy & {{name.split(".")[0] for name in sys.modules}}) or 0)
"""


EXAMPLES = sorted(path.parent for path in ROOT.glob("examples/*/pyproject.toml"))


@pytest.mark.parametrize(
    "module",
    ["corenas.cli", "corenas.builtin", *(m for m in MODULES if m.endswith(".plugin"))],
)
def test_the_command_line_starts_without_what_computes_and_draws(module):
    code = LIGHT.format(module)
    places = os.pathsep.join([*map(str, EXAMPLES), os.environ.get("PYTHONPATH", "")])
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONPATH": places},
        check=False,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
