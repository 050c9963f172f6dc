"""An export from the model file to the files that are handed over."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from attrs import evolve, field, frozen

from corenas.errors import ConfigError, CorenasError
from corenas.options.structuring import Chosen, choose, structure
from corenas.options.toml import parse_assignment
from corenas_export.checking import Check, check_against_torch
from corenas_export.format import ExportFormat
from corenas_export.handing_over import hand_over, refuse_existing, set_aside, targets_of
from corenas_export.reading import read_source
from corenas_sr.models.costs import parse_size

_KIND = "export_formats"

Say = Callable[[str], None]


@frozen
class Result:
    """What was handed over, how far it is from torch, and what was measured of it."""

    files: tuple[Path, ...]
    check: Check | None
    runs_with: str
    numbers: Mapping[str, Any] = field(factory=dict)

    @property
    def checked(self) -> str:
        """One line for people."""
        if self.check is None:
            return f"not checked: {self.runs_with}"
        sizes = ", ".join(what for what, _ in self.check.differences)
        return (
            f"largest difference from torch: {self.check.largest:.3g} of 255 levels "
            f"({sizes}; {self.runs_with})"
        )

    def to_json(self) -> dict[str, Any]:
        """Return files, differences by size, what ran them, and numbers."""
        differences = [] if self.check is None else self.check.differences
        return {
            "files": list(map(str, self.files)),
            "differences": [{"input": what, "levels": value} for what, value in differences],
            "runs_with": self.runs_with,
            "numbers": dict(self.numbers),
        }


def choose_format(name: str, given: Mapping[str, Any], assignments: Sequence[str]) -> Chosen:
    """Return a format with its options; see `choose_with`."""
    return choose_with(_KIND, name, given, assignments)


def choose_with(
    kind: str, name: str, given: Mapping[str, Any], assignments: Sequence[str]
) -> Chosen:
    """Return a component with its options.

    Args:
        kind: Its kind.
        name: Its name.
        given: Options by name.
        assignments: ``key=value``, which go before those.

    Raises:
        UnknownName: There is no such component.
        ConfigError: It has no such option, or not with this value.
    """
    return _choose(kind, name, [given, *(parse_assignment(text) for text in assignments)])


def _choose(kind: str, name: str, layers: Sequence[Mapping[str, Any]]) -> Chosen:
    chosen = choose(kind, name)
    return evolve(chosen, config=structure(type(chosen.config), *layers))


def choose_parts(
    named: Mapping[str, tuple[str, str]], assignments: Sequence[str]
) -> Mapping[str, Chosen]:
    """Return several components with their options.

    Args:
        named: Of each its kind and its name, by the word with which its options begin.
        assignments: ``word.key=value``.

    Raises:
        UnknownName: There is no such component.
        ConfigError: An option begins with another word, is none, or has not such a value.
    """
    layers = [parse_assignment(text) for text in assignments]
    for layer, text in zip(layers, assignments, strict=True):
        if not all(word in named and isinstance(value, dict) for word, value in layer.items()):
            words = " or ".join(f"{word}." for word in named)
            raise ConfigError(f"--set {text}: the option has to begin with {words}")
    return {
        word: _choose(kind, name, [layer[word] for layer in layers if word in layer])
        for word, (kind, name) in named.items()
    }


def export_network(
    model: Path,
    chosen: Chosen,
    *,
    out: Path | None,
    input_size: str | None,
    licence: str,
    force: bool,
    say: Say,
) -> Result:
    """Write a network in a format; its files appear when all is checked, or not at all.

    Args:
        model: The model file.
        chosen: The format.
        out: Its first file; by default one named like the model, in the current folder.
        input_size: The only ``WIDTHxHEIGHT`` of images that it shall take.
        licence: Licence of the training images, as the user states it.
        force: Replace files that exist.
        say: Tells the user what is going on.

    Raises:
        InputError: Anything given is wrong; that is found before the network is converted.
        CorenasError: It cannot be converted, differs from torch, or loses too much.
    """
    size = None if input_size is None else parse_size("--input", input_size)
    writer: ExportFormat = chosen.build()
    targets = targets_of(model, out, chosen.component.metadata.suffixes, force=force)
    source = read_source(model, size=size, licence=licence, say=say)
    writer.check(source)
    with tempfile.TemporaryDirectory(prefix="corenas-export-") as folder:
        with _timed(say, f"converting to {chosen.name}"):
            exported = writer.write(source, Path(folder) / targets[0].name)
        with _timed(say, "checking against torch"):
            check = check_against_torch(source, exported)
        if exported.refused:
            kept = set_aside(exported.files, targets)
            raise CorenasError(f"{exported.refused}; the file is kept as {kept}")
        if not force:
            refuse_existing(targets)  # converting takes a while: somebody else may have been there
        hand_over(exported.files, targets)
    return Result(targets, check, exported.runs_with, exported.numbers)


@contextmanager
def _timed(say: Say, what: str) -> Iterator[None]:
    say(f"{what} ...")
    began = time.monotonic()
    yield
    say(f"{what}: {time.monotonic() - began:.1f} s")
