"""``init plugin``: a package to begin a plugin with."""

from __future__ import annotations

import keyword
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated

import typer

from corenas.commands.output import say
from corenas.errors import CorenasError, InputError, UnknownName
from corenas.names import is_kebab_case, nearest
from corenas.plugins.registry import Registry, default_registry

KINDS = {
    "operation": ("operations",),
    "strategy": ("strategies",),
    "space": ("search_spaces",),
    "metric": ("metrics",),
    "recipe": ("recipes",),
    "task": ("search_spaces", "evaluators", "recipes"),
}
"""What a plugin of each kind offers under its name."""

LONGEST = 30
"""Characters of a name: with more, lines of the templates would be longer than a linter allows."""

_TEMPLATES = Path(__file__).parents[1] / "templates"


def add_commands(app: typer.Typer) -> None:
    """Add the command to the command line."""
    group = typer.Typer(help="Begin something of your own.", no_args_is_help=True)
    group.command()(plugin)
    app.add_typer(group, name="init")


def plugin(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Such as gated-conv.")],
    kind: Annotated[str, typer.Option(help=f"One of {', '.join(KINDS)}.")],
    out: Annotated[
        Path | None, typer.Option(metavar="DIR", help="A new folder; default: NAME.")
    ] = None,
) -> None:
    """Write a package with a plugin that works, its tests, and a README with what to do next."""
    if kind not in KINDS:
        raise UnknownName(f"--kind: unknown kind {kind!r}{nearest(kind, KINDS)}")
    check_name(name, kind, default_registry())
    folder = Path(name) if out is None else out
    files = write_plugin(name, kind, folder)
    for file in files:
        say(f"{folder / file}")
    say(f"what to do next stands in {folder / 'README.md'}")


def check_name(name: str, kind: str, registry: Registry) -> None:
    """Refuse a name that a package or a component of this kind cannot have.

    Raises:
        InputError: It is malformed, too long, or taken.
    """
    if not is_kebab_case(name) or not name[0].isalpha():
        raise InputError(f"{name!r}: expected lower-case words with hyphens, such as gated-conv")
    if len(name) > LONGEST:
        raise InputError(f"{name!r}: is longer than {LONGEST} characters")
    module = _module(name)
    if keyword.iskeyword(module) or keyword.issoftkeyword(module):
        raise InputError(f"{name!r}: is a word of Python itself")
    if module in sys.stdlib_module_names or find_spec(module) is not None:
        raise InputError(f"{name!r}: there is a module {module!r} already, which it would hide")
    if any(each.name == name for each in registry.plugins):
        raise InputError(f"{name!r}: there is a plugin of this name already")
    for offered in KINDS[kind]:
        known = registry.recipes if offered == "recipes" else registry.components(offered)
        if name in known:
            owner = registry.owner(offered, name)
            raise InputError(f"{name!r}: the plugin {owner!r} has it among its {offered} already")


def write_plugin(name: str, kind: str, folder: Path) -> list[Path]:
    """Write the package of a plugin; it appears whole or not at all.

    Returns:
        Its files, relative to the folder.

    Raises:
        CorenasError: It cannot be written.
        InputError: The folder is there already.
    """
    if folder.exists() or folder.is_symlink():
        raise InputError(f"{folder}: is there already")
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        made = Path(tempfile.mkdtemp(dir=folder.parent, prefix=f".{folder.name}.", suffix="~"))
        try:
            files = sorted(_fill(made, name, kind))
            made.chmod(0o755)  # mkdtemp's folders are private
            os.rename(made, folder)
        except BaseException:
            shutil.rmtree(made, ignore_errors=True)
            raise
    except OSError as error:
        raise CorenasError(f"{folder}: cannot be written: {error.strerror or error}") from error
    return files


def _fill(made: Path, name: str, kind: str) -> Iterator[Path]:
    for root in (_TEMPLATES / "common", _TEMPLATES / kind):
        for source in sorted(root.rglob("*")):
            inner = source.relative_to(root)
            # What linters and interpreters left in a checkout is none of the package.
            if source.is_dir() or any(
                part.startswith((".", "__pycache__")) for part in inner.parts
            ):
                continue
            target = Path(_substitute(inner.as_posix(), name))
            path = made / target
            path.parent.mkdir(parents=True, exist_ok=True)
            text = source.read_text(encoding="utf-8")
            path.write_text(_substitute(text, name), encoding="utf-8")
            yield target


def _substitute(text: str, name: str) -> str:
    """Fill a name into a template: templates are Python that works, and so are checked like it."""
    return text.replace("plugin-name", name).replace("plugin_name", _module(name))


def _module(name: str) -> str:
    return name.replace("-", "_")
