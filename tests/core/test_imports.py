"""The direction of imports, as docs/design.md says, and a fast start."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
ROOMS = {
    "corenas": ROOT / "corenas",
    "corenas_sr": ROOT / "plugins/sr/corenas_sr",
    "corenas_tpsr": ROOT / "plugins/tpsr/corenas_tpsr",
    "corenas_trilevel": ROOT / "plugins/trilevel/corenas_trilevel",
    "corenas_metrics": ROOT / "plugins/metrics/corenas_metrics",
}
ALLOWED = {
    "corenas": {"corenas"},
    "corenas_sr": {"corenas", "corenas_sr"},
    "corenas_tpsr": {"corenas", "corenas_sr", "corenas_tpsr"},
    "corenas_trilevel": {"corenas", "corenas_sr", "corenas_trilevel"},
    "corenas_metrics": {"corenas", "corenas_sr", "corenas_metrics"},
}
PLUGINS = [f"{room}.plugin" for room in ROOMS if room != "corenas"]
LAYERS = (
    {"errors", "names", "files", "text"},
    {"values", "stopping", "cost"},
    {"protocols", "devices"},
    {"plugins"},
    {"options"},
    {"search", "training", "drawing", "show", "modelfile"},
    {"runs"},
    {"builtin", "testing", "commands"},
    {"cli"},
)
"""The rooms and modules of the core; each imports from those of its line and above."""


def imports(path):
    """Yield the modules that a file imports when it runs: not those for type checkers alone."""
    tree = ast.parse(path.read_text())
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
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module


@pytest.mark.parametrize("room", ROOMS)
def test_rooms_import_only_what_they_may(room):
    for path in ROOMS[room].rglob("*.py"):
        for module in imports(path):
            package = module.split(".")[0]
            if package.startswith("corenas"):
                assert package in ALLOWED[room], f"{path} imports {module}"


def test_the_core_imports_downwards():
    level = {name: height for height, names in enumerate(LAYERS) for name in names}
    for path in ROOMS["corenas"].rglob("*.py"):
        here = path.relative_to(ROOMS["corenas"]).with_suffix("").parts[0]
        if here == "__init__":
            continue
        for module in imports(path):
            parts = module.split(".")
            if parts[0] == "corenas" and len(parts) > 1:
                assert level[parts[1]] <= level[here], f"{path} imports {module}"


def test_files_stay_readable():
    for folder in ROOMS.values():
        for path in folder.rglob("*.py"):
            assert len(path.read_text().splitlines()) < 400, path


LIGHT = "import sys, {0}; sys.exit(any(m.split('.')[0] in ('torch', 'numpy') for m in sys.modules))"


@pytest.mark.parametrize(
    "module", ["corenas.cli", "corenas.builtin", *(f"{room}.plugin" for room in list(ROOMS)[1:])]
)
def test_the_command_line_starts_without_torch(module):
    assert subprocess.run([sys.executable, "-c", LIGHT.format(module)], check=False).returncode == 0
