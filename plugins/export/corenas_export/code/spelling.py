"""Source text of a network: every layer spelled out, every forward pass as its author wrote it.

Each module of the tree becomes an expression: one of torch by its ``repr``, any other by a class
whose ``__init__`` sets what the instance holds, and whose methods are those of its own class. What
they use of their modules (functions, constants, imports) comes along. Modules that are alike share
a class.
"""

from __future__ import annotations

import ast
import builtins
import inspect
import re
import sys
import textwrap
from collections.abc import Collection, Iterator
from types import FunctionType, ModuleType
from typing import Any

import torch
from attrs import define, field
from torch import Tensor, nn

from corenas.errors import InputError

_INDENT = "    "
_WIDTH = 100
_LARGEST_CONSTANT = 256
_PLAIN = (int, float, str, bool, type(None))
_CONTAINERS = (nn.Sequential, nn.ModuleList)
# What every module has; whatever else is in its __dict__ is the author's.
_TORCHS_OWN = frozenset(vars(nn.Module()))


@define
class Spelling:
    """Classes, functions, constants and imports, in the order in which they are needed."""

    imports: dict[str, str] = field(factory=dict)
    constants: dict[str, str] = field(factory=dict)
    functions: dict[str, str] = field(factory=dict)
    classes: dict[str, str] = field(factory=dict)
    reserved: Collection[str] = ()
    """Names that nothing in the network's code may have."""

    _meant: dict[str, Any] = field(factory=dict)
    _names: dict[str, str] = field(factory=dict)

    def module(self, module: nn.Module, indent: int) -> str:
        """Return the expression that builds a module.

        Args:
            module: The module; its weights are not part of the text.
            indent: Levels by which lines after the first are indented.

        Raises:
            InputError: It holds what cannot be spelled out, or its source is not to be had.
        """
        kind = type(module)
        if kind in _CONTAINERS:
            return self._container(module, indent)
        if _is_torchs(kind):
            return f"nn.{_on_one_line(module)}"
        if kind.__bases__[0] is not nn.Module and _is_torchs(kind.__bases__[0]):
            # Such as a norm that permutes: torch's own constructor, with a forward of its own.
            return self._derived(module)
        return f"{self._class(module)}()"

    def _container(self, module: nn.Module, indent: int) -> str:
        inner = indent + 1
        # Not children(), which leaves out what stands in a list twice.
        children = (child for child in module._modules.values() if child is not None)
        parts = [self.module(child, inner) for child in children]
        listed = isinstance(module, nn.ModuleList)
        opening, closing = ("nn.ModuleList([", "])") if listed else ("nn.Sequential(", ")")
        short = f"{opening}{', '.join(parts)}{closing}"
        if "\n" not in short and len(short) + 4 * indent < _WIDTH - 20:
            return short
        lines = "".join(f"{_INDENT * inner}{part},\n" for part in parts)
        return f"{opening}\n{lines}{_INDENT * indent}{closing}"

    def _derived(self, module: nn.Module) -> str:
        kind = type(module)
        body = self._body(kind)
        name = self._named(kind.__name__, f"({kind.__bases__[0].__name__}):\n{body}")
        self.classes.setdefault(name, f"class {name}(nn.{kind.__bases__[0].__name__}):\n{body}")
        return name + _on_one_line(module).removeprefix(kind.__name__)

    def _class(self, module: nn.Module) -> str:
        kind = type(module)
        text = f"{_initialiser(self, module)}\n{self._body(kind)}"
        name = self._named(kind.__name__, text)
        if name not in self.classes:
            summary = _summary(kind)
            docstring = f'{_INDENT}"""{summary}"""\n\n' if summary else ""
            self.classes[name] = f"class {name}(nn.Module):\n{docstring}{text}"
        return name

    def _refuse_reserved(self, name: str) -> None:
        if name in self.reserved:
            raise InputError(f"{name!r} in the network's code is a name that the file itself uses")

    def _named(self, name: str, text: str) -> str:
        """Return a name for a class: the same for the same text, another for another."""
        self._refuse_reserved(name)
        number = 1
        while True:
            candidate = name if number == 1 else f"{name}{number}"
            if self._names.setdefault(candidate, text) == text:
                return candidate
            number += 1

    def _body(self, kind: type[nn.Module]) -> str:
        """Return the methods of a class and of those it derives from, but for ``__init__``."""
        found: dict[str, str] = {}
        for each in kind.__mro__:
            if _is_torchs(each) or each is object:
                break
            source, node = _source_of(each)
            for part in ast.iter_child_nodes(node):
                if not isinstance(part, ast.FunctionDef | ast.Assign | ast.AnnAssign):
                    continue
                name = getattr(part, "name", None) or ast.unparse(part)
                bare = isinstance(part, ast.AnnAssign) and part.value is None
                if name == "__init__" or bare or name in found:
                    continue
                if _calls_super(part) and not _is_torchs(each.__bases__[0]):
                    raise InputError(f"{each.__qualname__}.{name}: super() cannot be spelled out")
                self._bring(part, each)
                found[name] = textwrap.indent(_written(source, part), _INDENT)
        return "\n\n".join(found.values()) + "\n"

    def _bring(self, node: ast.AST, kind: type | FunctionType) -> None:
        """Bring along what a piece of source uses of the module that it stands in."""
        place = inspect.getmodule(kind)
        for name in _names_used(node):
            if name in vars(place):
                self._bring_value(name, vars(place)[name])
            elif not hasattr(builtins, name):
                raise InputError(f"{kind.__qualname__}: its code uses {name!r}, which is not found")

    def _bring_value(self, name: str, value: Any) -> None:
        self._refuse_reserved(name)
        known = self._meant.setdefault(name, value)
        if known is not value and known != value:
            raise InputError(f"two things are called {name!r} in the network's code")
        if isinstance(value, ModuleType):
            package = value.__name__.split(".")[0]
            if package not in ("torch", *sys.stdlib_module_names):
                raise InputError(f"the network's code imports {package!r}; torch alone can be had")
            self.imports[name] = _import_of(value, name)
        elif isinstance(value, FunctionType) and not _is_torchs(value):
            if name not in self.functions:
                self.functions[name] = ""  # found again, if it calls itself
                source, node = _source_of(value)
                self._bring(node, value)
                del self.functions[name]  # after those that it calls
                self.functions[name] = _written(source, node)
        elif _is_torchs(value) and hasattr(value, "__name__"):
            self.imports[name] = f"from {_public(value)} import {name}"
        elif _is_plain(value):
            self.constants[name] = f"{name} = {value!r}"
        else:
            raise InputError(f"{name}: a {type(value).__name__} cannot be spelled out")


def _initialiser(spelling: Spelling, module: nn.Module) -> str:
    """Return the text of an ``__init__`` that makes an instance what this one is."""
    lines = ["super().__init__()"]
    for name, value in vars(module).items():
        if name in _TORCHS_OWN or name.startswith("__"):
            continue
        if not _is_plain(value):
            raise InputError(
                f"{type(module).__name__}.{name}: a {type(value).__name__} cannot be spelled out"
            )
        lines.append(f"self.{name} = {value!r}")
    for name, buffer in module.named_buffers(recurse=False):
        kept = name not in module._non_persistent_buffers_set
        if not kept and buffer.numel() > _LARGEST_CONSTANT:
            raise InputError(
                f"{type(module).__name__}.{name}: {buffer.numel()} constant numbers are too many "
                "to be spelled out"
            )
        content = f"torch.empty({tuple(buffer.shape)})" if kept else _literal(buffer)
        lines.append(f'self.register_buffer("{name}", {content}, persistent={kept})')
    for name, parameter in module.named_parameters(recurse=False):
        lines.append(f"self.{name} = nn.Parameter(torch.empty({tuple(parameter.shape)}))")
    empty = {n for n, p in (*module._parameters.items(), *module._modules.items()) if p is None}
    lines += [f"self.{name} = None" for name in sorted(empty)]
    lines += [
        f"self.{name} = {spelling.module(child, 2)}"
        for name, child in module._modules.items()
        if child is not None
    ]
    body = "\n".join(f"{_INDENT * 2}{line}" for line in lines)
    return f"{_INDENT}def __init__(self) -> None:\n{body}\n"


def _literal(buffer: Tensor) -> str:
    # numpy's numbers have as many digits as their type, not those of a double.
    numbers = ", ".join(map(str, buffer.flatten().numpy()))
    kind = "" if buffer.dtype == torch.float32 else f", dtype={buffer.dtype}"
    return f"torch.tensor([{numbers}]{kind}).view{tuple(buffer.shape)}"


def _is_plain(value: Any) -> bool:
    if isinstance(value, tuple | list):
        return all(map(_is_plain, value))
    return isinstance(value, _PLAIN)


def _is_torchs(value: Any) -> bool:
    return (getattr(value, "__module__", None) or "").split(".")[0] == "torch"


def _public(value: Any) -> str:
    """Return where torch offers a name to all."""
    for module in (torch, nn, nn.functional):
        if getattr(module, value.__name__, None) is value:
            return module.__name__
    return str(value.__module__)


def _on_one_line(module: nn.Module) -> str:
    text = " ".join(repr(module).split())
    if isinstance(module, nn.Conv2d):
        text = re.sub(r"\((\d+), \1\)", r"\1", text).replace(", stride=1", "")
    return text


def _summary(kind: type[nn.Module]) -> str:
    """Return the first paragraph of a docstring: what follows speaks of arguments it lost."""
    text = inspect.cleandoc(kind.__doc__ or "").split("\n\n")[0]
    return textwrap.indent(text.replace('"""', "'''"), _INDENT).strip()


def _source_of(value: type | FunctionType) -> tuple[str, ast.stmt]:
    """Return the text of a definition, and what it parses to."""
    try:
        source = textwrap.dedent(inspect.getsource(value))
        return source, ast.parse(source).body[0]
    except (OSError, TypeError, SyntaxError) as error:
        raise InputError(f"{value.__qualname__}: its source is not to be had: {error}") from error


def _written(source: str, node: ast.stmt) -> str:
    """Return a part of a source as it was written, comments and all."""
    above = [each.lineno for each in getattr(node, "decorator_list", [])]
    lines = source.splitlines()[min([node.lineno, *above]) - 1 : node.end_lineno]
    return textwrap.dedent("\n".join(lines))


def _calls_super(node: ast.AST) -> bool:
    return any(isinstance(each, ast.Name) and each.id == "super" for each in ast.walk(node))


def _import_of(module: ModuleType, name: str) -> str:
    package, _, last = module.__name__.rpartition(".")
    if last == name:
        return f"from {package} import {name}" if package else f"import {name}"
    return f"import {module.__name__} as {name}"


def _names_used(node: ast.AST) -> Iterator[str]:
    """Yield the names that a piece of source takes from outside, but for annotations."""
    inside = {n.id for n in ast.walk(node) if isinstance(n, ast.Name) and _is_stored(n)}
    inside |= {a.arg for a in ast.walk(node) if isinstance(a, ast.arg)}
    skipped = {
        id(inner)
        for each in ast.walk(node)
        for annotation in (getattr(each, "annotation", None), getattr(each, "returns", None))
        if annotation is not None
        for inner in ast.walk(annotation)
    }
    for each in ast.walk(node):
        if isinstance(each, ast.Name) and id(each) not in skipped and each.id not in inside:
            yield each.id


def _is_stored(name: ast.Name) -> bool:
    return isinstance(name.ctx, ast.Store)
