"""The pages of ``docs/reference``, made from the code: ``python -m corenas.testing.reference``.

Sources are read, not imported: a signature then stands on the page as it was written.
"""

from __future__ import annotations

import ast
import inspect
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import attrs
from attrs import frozen

from corenas.files import atomic_write
from corenas.options.declaring import Option, fields_in_order
from corenas.options.structuring import structure, unstructure
from corenas.options.toml import allowed_values
from corenas.plugins import hookspecs
from corenas.plugins.hookspecs import PREFIX, PROJECT
from corenas.plugins.registry import Registry, default_registry

COMMAND = "python -m corenas.testing.reference"
"""Renews the pages; run it where ``docs`` is."""

_CORE = Path(__file__).parents[1]
_MADE = f"<!-- Made from the code by `{COMMAND}`; a test compares both. -->"

_Function = ast.FunctionDef | ast.AsyncFunctionDef


@frozen
class Name:
    """A public name of a module.

    ``text`` is its signature or, for a constant, what it is; ``methods`` are those of a class.
    """

    name: str
    text: str
    summary: str
    methods: Sequence[Name] = ()


@frozen
class Module:
    """A public module: the first line of its docstring, and its public names in their order."""

    name: str
    summary: str
    names: Sequence[Name]


def public_modules() -> dict[str, Module]:
    """Return the public modules of the core, by name.

    A module is public when nothing in its path begins with an underscore. A name in it is public
    when it has a docstring and does not begin with one, or when the module's ``__all__`` lists it.
    """
    return {
        module.name: module
        for module in _modules()
        if module.names and not any(part.startswith("_") for part in module.name.split("."))
    }


def _modules() -> Iterator[Module]:
    """Yield all modules of the core; a package's is its ``__init__``."""
    for path in sorted(_CORE.rglob("*.py")):
        if "templates" in path.parts:  # what is written from them is not the core's
            continue
        parts = (PROJECT, *path.relative_to(_CORE).with_suffix("").parts)
        name = ".".join(parts).removesuffix(".__init__")
        tree = ast.parse(path.read_text(encoding="utf-8"))
        names = [*_passed_on(tree), *(each for each in _names(tree.body) if each.summary)]
        yield Module(name, _first_line(ast.get_docstring(tree)), names)


def _passed_on(tree: ast.Module) -> Iterator[Name]:
    """Yield what a module imports for others to import from it: its ``__all__`` says so."""
    listed = {
        name
        for node in tree.body
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__"
        for name in ast.literal_eval(node.value)
    }
    for node in tree.body:
        if isinstance(node, ast.ImportFrom):
            for alias in node.names:
                if alias.name in listed:
                    yield _defined(str(node.module), alias.name)


def _defined(module: str, name: str) -> Name:
    """Return a name as the page shows it where another module passes it on.

    What a public module defines is described in full there; here its methods are left out.
    """
    path = _CORE.joinpath(*module.split(".")[1:]).with_suffix(".py")
    tree = ast.parse(path.read_text(encoding="utf-8"))
    names = {each.name: each for each in (*_passed_on(tree), *_names(tree.body))}
    found = names[name]
    return found if module.rpartition(".")[2].startswith("_") else attrs.evolve(found, methods=())


def _names(body: Sequence[ast.stmt]) -> Iterator[Name]:
    """Yield what a module or a class defines; without a docstring, the summary is empty."""
    for node, following in zip(body, [*body[1:], None], strict=True):
        if isinstance(node, _Function) and not node.name.startswith("_"):
            yield _function(node)
        elif isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
            methods = [each for each in _names(node.body) if each.summary]
            summary = _first_line(ast.get_docstring(node))
            yield Name(node.name, f"{node.name}{_made_with(node)}", summary, methods)
        elif isinstance(node, ast.Assign | ast.AnnAssign) and (name := _assigned(node)):
            yield Name(name, name, _string_after(following))


def _function(node: _Function) -> Name:
    summary = _first_line(ast.get_docstring(node))
    if any(ast.unparse(each).endswith("property") for each in node.decorator_list):
        return Name(node.name, node.name, summary)
    returns = f" -> {ast.unparse(node.returns)}" if node.returns else ""
    return Name(node.name, f"{node.name}({_arguments(node.args)}){returns}", summary)


def _arguments(given: ast.arguments) -> str:
    first = [*given.posonlyargs, *given.args]
    defaults = [None] * (len(first) - len(given.defaults)) + [*given.defaults]
    texts = [_argument(*each) for each in zip(first, defaults, strict=True)]
    texts = [text for text in texts if text not in ("self", "cls")]
    if given.vararg:
        texts.append(f"*{_argument(given.vararg, None)}")
    elif given.kwonlyargs:
        texts.append("*")
    texts += [_argument(*each) for each in zip(given.kwonlyargs, given.kw_defaults, strict=True)]
    if given.kwarg:
        texts.append(f"**{_argument(given.kwarg, None)}")
    return ", ".join(texts)


def _argument(argument: ast.arg, default: ast.expr | None) -> str:
    text = ast.unparse(argument)
    return text if default is None else f"{text} = {ast.unparse(default)}"


def _made_with(node: ast.ClassDef) -> str:
    """Return the arguments of a class; nothing where nobody makes one, as of a protocol."""
    for each in node.body:
        if isinstance(each, ast.FunctionDef) and each.name == "__init__":
            return f"({_arguments(each.args)})"
    if not any(ast.unparse(each) in ("frozen", "define") for each in node.decorator_list):
        return ""
    fields = [each for each in node.body if isinstance(each, ast.AnnAssign)]
    return f"({', '.join(_field(each) for each in fields if _assigned(each))})"


def _field(node: ast.AnnAssign) -> str:
    text = ast.unparse(node.target) + ": " + ast.unparse(node.annotation)
    if node.value is None:
        return text
    # What a field or an option holds by default may be a paragraph; the options have their page.
    plain = isinstance(node.value, ast.Constant | ast.Tuple | ast.UnaryOp)
    return f"{text} = {ast.unparse(node.value) if plain else '...'}"


def _assigned(node: ast.Assign | ast.AnnAssign) -> str:
    target = node.target if isinstance(node, ast.AnnAssign) else node.targets[0]
    name = target.id if isinstance(target, ast.Name) else ""
    return "" if name.startswith("_") else name


def _string_after(node: ast.stmt | None) -> str:
    """Return the docstring of a constant, which is the string that follows it."""
    if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
        return _first_line(node.value.value if isinstance(node.value.value, str) else "")
    return ""


def _first_line(docstring: str | None) -> str:
    """Return a docstring's first paragraph on one line."""
    paragraph, _, _ = inspect.cleandoc(docstring or "").partition("\n\n")
    return " ".join(paragraph.split())


def api_page() -> str:
    """Return the page of what plugins may use of the core."""
    lines = ["# The core's public names", "", _MADE, ""]
    lines += [
        "A name is public when it has a docstring and neither it nor its module begins with an",
        "underscore. What most plugins need is listed first: it can be imported from `corenas`.",
    ]
    for module in public_modules().values():
        lines += ["", f"## {module.name}", "", module.summary, ""]
        lines += [line for each in module.names for line in _listed(each)]
    return "\n".join(lines).rstrip() + "\n"


def _listed(name: Name) -> Iterator[str]:
    yield f"- `{name.text}`: {name.summary}"
    for method in name.methods:
        yield f"  - `.{method.text}`: {method.summary}"


def options_page(registry: Registry) -> str:
    """Return the page of the options of all recipes and components that come with the core."""
    own = _own_plugins(registry)
    lines = ["# Options", "", _MADE]
    offered: Mapping[str, Mapping[str, Any]] = {
        "recipes": registry.recipes,
        **{kind: registry.components(kind) for kind in registry.kinds},
    }
    for kind, found in offered.items():
        lines += ["", f"## {kind.replace('_', ' ').capitalize()}"]
        for name, each in found.items():
            if registry.owner(kind, name) in own:
                lines += ["", f"### {name}", "", each.summary]
                lines += _options_table(structure(each.config, registry=registry), registry)
    return "\n".join(lines) + "\n"


def _own_plugins(registry: Registry) -> set[str]:
    """Return the plugins that come with the core: what else is installed is on no page of ours."""
    return {plugin.name for plugin in registry.plugins if plugin.distribution == PROJECT}


def _options_table(config: Any, registry: Registry) -> list[str]:
    rows = list(_option_rows(config, "", registry))
    if not rows:
        return []
    head = ["option", "default", "meaning", "unit", "allowed", "paper"]
    return ["", _row(head), _row(["---"] * len(head)), *map(_row, rows)]


def _row(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |"


def _option_rows(config: Any, path: str, registry: Registry) -> Iterator[list[str]]:
    """Yield the cells of each option, those of sections with their dotted path."""
    for attribute in fields_in_order(attrs.resolve_types(type(config))):
        value, name = getattr(config, attribute.name), f"{path}{attribute.name}"
        known = Option.of(attribute)
        if attrs.has(type(value)) and not known.kind:
            yield from _option_rows(value, f"{name}.", registry)
        else:
            allowed = _own_components(known.kind, registry) or allowed_values(attribute, registry)
            default = _default(value)
            yield [f"`{name}`", default, known.help, known.unit, allowed, known.paper]


def _own_components(kind: str, registry: Registry) -> str:
    own = _own_plugins(registry)
    names = registry.components(kind) if kind else ()
    return ", ".join(name for name in names if registry.owner(kind, name) in own)


def _default(value: Any) -> str:
    if value is None:
        return "unset"
    plain = unstructure(value)
    # A component is chosen by its name; its own options stand where it is described.
    return f"`{json.dumps(plain['use'] if isinstance(plain, dict) and 'use' in plain else plain)}`"


def hooks_page(registry: Registry) -> str:
    """Return the page of the hooks: those that always exist, and one for each kind."""
    lines = ["# Hooks", "", _MADE, ""]
    lines += ["A plugin implements those that it needs, marked with `corenas.hookimpl`.", ""]
    for name, hook in vars(hookspecs).items():
        if name.startswith(PREFIX):
            lines += [f"## {name}", "", f"`{_signature(hook)}`", "", inspect.getdoc(hook) or "", ""]
    lines += ["## Components", "", "Each returns components of its kind:", ""]
    lines += [_row(["hook", "one is called", "built with", "owned by"]), _row(["---"] * 4)]
    own = _own_plugins(registry)
    for kind in registry.kinds.values():
        owner = registry.kind_owner(kind.name)
        if owner in own:
            lines.append(_row([f"`{kind.hook}`", kind.singular, f"`{kind.built_with}`", owner]))
    return "\n".join(lines) + "\n"


def _signature(hook: Callable[..., Any]) -> str:
    tree = ast.parse(inspect.getsource(hook)).body[0]
    return _function(tree).text if isinstance(tree, ast.FunctionDef) else hook.__name__


def pages() -> dict[str, str]:
    """Return the text of each page by its file's name."""
    registry = default_registry()
    return {
        "api.md": api_page(),
        "options.md": options_page(registry),
        "hooks.md": hooks_page(registry),
    }


def write_pages(folder: Path) -> None:
    """Write the pages into a folder."""
    for name, text in pages().items():
        with atomic_write(folder / name) as file:
            file.write(text.encode())


if __name__ == "__main__":
    write_pages(Path("docs/reference"))
