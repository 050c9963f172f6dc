"""The format ``code``: a module that a person reads, and its weights."""

from __future__ import annotations

import importlib.util
import json
import sys
import textwrap
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType

import torch
from safetensors.torch import save_file
from torch import nn

from corenas.errors import CorenasError, InputError
from corenas.names import printable
from corenas.plugins.hookspecs import NoOptions
from corenas_export.code.spelling import Spelling
from corenas_export.format import Exported, Source

_WEIGHTS = "_weights.safetensors"
_RESERVED = (
    *("SCALE", "WEIGHTS", "read_weights", "load", "upscale", "InUnitRange", "register"),
    *("Any", "Path", "json"),
)
"""What the text below defines and imports by itself."""

_HEAD = '''\
"""{title}

Made by `corenas export`, version {version}; parts of the text are those of CoreNAS, Apache-2.0.
Needs torch alone. `load()` gives the network with its weights, from and to RGB in 0..255, and
`upscale(image)` makes a uint8 image of shape (3, H, W) {scale} times larger. `register()` makes
spandrel load the weights' file:

    import {stem}, spandrel
    {stem}.register()
    spandrel.ModelLoader().load_from_file("{weights}")

{facts}
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

'''

_TAIL = '''
SCALE = {scale}
WEIGHTS = Path(__file__).with_name({quoted})


def read_weights(file: Path = WEIGHTS) -> dict[str, Tensor]:
    """Read the tensors of a safetensors file: a header in JSON, then their bytes."""
    content = bytearray(Path(file).read_bytes())
    begin = 8 + int.from_bytes(content[:8], "little")
    header: dict[str, Any] = json.loads(content[8:begin])
    types = {{"F32": torch.float32, "F16": torch.float16, "I64": torch.int64, "BOOL": torch.bool}}
    weights = {{}}
    for name, entry in header.items():
        if name != "__metadata__":
            first, last = (begin + offset for offset in entry["data_offsets"])
            values = torch.frombuffer(content[first:last], dtype=types[entry["dtype"]])
            weights[name] = values.view(entry["shape"])
    return weights


def load(file: Path = WEIGHTS) -> {cls}:
    """Return the network in evaluation mode, from and to RGB in 0..255, shape (N, 3, H, W)."""
    network = {cls}()
    network.load_state_dict(read_weights(file))
    return network.eval().requires_grad_(False)


def upscale(image: Tensor, network: nn.Module | None = None) -> Tensor:
    """Make a uint8 image of shape (3, H, W) larger: clamped and rounded, halves up."""
    with torch.no_grad():
        larger = (network or load())(image[None].float())[0]
    return torch.floor(larger + 0.5).clamp(0, 255).to(torch.uint8)


class InUnitRange({cls}):
    """The same network from and to RGB in 0..1, as spandrel has it."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x * 255) / 255


def register() -> None:
    """Make spandrel know this network by the names of its weights."""
    from spandrel import MAIN_REGISTRY, Architecture, ArchSupport, ImageModelDescriptor

    names = set({cls}().state_dict())

    class Entry(Architecture[InUnitRange]):
        def __init__(self) -> None:
            super().__init__(id={identity}, detect=lambda weights: set(weights) == names)

        def load(self, state_dict: dict[str, Any]) -> ImageModelDescriptor[InUnitRange]:
            network = InUnitRange()
            return ImageModelDescriptor(
                network,
                state_dict,
                architecture=self,
                purpose="SR",
                tags=[],
                supports_half=False,
                supports_bfloat16=True,
                scale=SCALE,
                input_channels=3,
                output_channels=3,
            )

    # Before all others, some of which look at the names of a few weights only.
    others = tuple(each.architecture.id for each in MAIN_REGISTRY.architectures())
    MAIN_REGISTRY.add(ArchSupport.from_architecture(Entry(), before=others), ignore_duplicates=True)
'''


class CodeFormat:
    """Writes Python source, and weights in safetensors."""

    def __init__(self, config: NoOptions) -> None:
        del config

    def check(self, source: Source) -> None:
        """Spell the network out.

        Raises:
            InputError: It is another project's, of any one size, or cannot be spelled out.
        """
        if source.model is None:
            raise InputError(
                f"{source.path}: a network of another project, whose own code spandrel has; only "
                "those of CoreNAS are spelled out"
            )
        if source.size is not None:
            raise InputError("--input: code takes images of any size")
        _spell(source.module)

    def write(self, source: Source, file: Path) -> Exported:
        """Write both files."""
        weights = file.with_name(file.stem + _WEIGHTS)
        state = {name: tensor.contiguous().clone() for name, tensor in _state(source.module)}
        save_file(state, weights, metadata=dict(source.facts))
        file.write_text(_compose(source, file.stem, weights.name), encoding="utf-8")
        made = _import(file)
        network: nn.Module = made.load()
        return Exported((file, weights), network, f"torch {torch.__version__}")


def _state(module: nn.Module) -> list[tuple[str, torch.Tensor]]:
    return list(module.state_dict().items())


def _spell(module: nn.Module) -> tuple[Spelling, str]:
    spelling = Spelling(reserved=_RESERVED)
    expression = spelling.module(module, 0)
    return spelling, expression


def _compose(source: Source, stem: str, weights: str) -> str:
    """Return the text of the module."""
    spelling, expression = _spell(source.module)
    cls = expression.removesuffix("()")
    alone = {"from torch import Tensor", "from torch import nn"}
    given = {"import torch", "from torch import Tensor, nn"}
    imports = (set(spelling.imports.values()) - alone) | given
    identity = source.facts.get("corenas.architecture_id", "network")
    words = {
        "scale": source.scale,
        "weights": _safe(weights),
        "quoted": json.dumps(weights),
        "cls": cls,
        "identity": json.dumps(f"CoreNAS {identity}"),
    }
    head = _HEAD.format(
        title=f"A network for super-resolution at x{source.scale}.",
        version=source.facts["corenas.version"],
        stem=_safe(stem),
        facts=_facts(source.facts),
        **words,
    )
    parts = [
        head + "\n".join(_sorted(imports)),
        "\n".join(spelling.constants.values()),
        *spelling.functions.values(),
        *(text.rstrip() for text in spelling.classes.values()),
        _TAIL.strip("\n").format(**words),
    ]
    return "\n\n\n".join(filter(None, parts)) + "\n"


def _sorted(imports: set[str]) -> list[str]:
    return sorted(imports, key=lambda line: (line.startswith("from"), line))


def _facts(facts: Mapping[str, str]) -> str:
    """Return what the file says of itself, on lines that are not too long."""
    shown = {
        key.removeprefix("corenas."): value
        for key, value in facts.items()
        if key not in ("corenas.version", "corenas.range", "corenas.space")
    }
    lines = []
    for key, value in shown.items():
        lines += textwrap.wrap(f"{key}: {_safe(value)}", 98, subsequent_indent="  ")
    return "\n".join(lines)


def _safe(text: str) -> str:
    """Return text as a docstring can hold it, whatever it holds."""
    return printable(text).replace("\\", "/").replace('"', "'")


def _import(file: Path) -> ModuleType:
    """Import what was written, as a user will."""
    name = f"corenas_exported_{file.stem}"
    spec = importlib.util.spec_from_file_location(name, file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    before, sys.dont_write_bytecode = sys.dont_write_bytecode, True
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        raise CorenasError(
            f"the network's code cannot be imported once it is spelled out: {error!r}"
        ) from error
    finally:
        sys.dont_write_bytecode = before
    return module
