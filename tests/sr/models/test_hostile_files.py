"""Model files that were made to do harm: each is refused at once, in little memory, in a sentence.

All are read in one process whose memory is limited, because to start one takes seconds.
"""

from __future__ import annotations

import json
import re
import struct
import subprocess
import sys
import textwrap
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save

from corenas import modelfile
from corenas_sr.models.files import load_model

pytestmark = pytest.mark.abuse("hostile model file")

SMALL = Path(__file__).parent / "data" / "format-1-x2.safetensors"

ROOM = 200 * 2**20
"""Bytes that reading may take."""


def described(file: Path = SMALL) -> dict[str, Any]:
    """Return the description of a good file, in format 2."""
    with safe_open(file, framework="pt") as opened:
        value: dict[str, Any] = json.loads(opened.metadata()["corenas"])
    scale = value.pop("scale")
    return {**value, "format": 2, "extra": {"scale": scale}}


def changed(**changes: Any) -> bytes:
    return written(described() | changes)


def written(description: Any, weights: Mapping[str, torch.Tensor] | None = None) -> bytes:
    text = description if isinstance(description, str) else json.dumps(description)
    return save(dict(weights or load_file(SMALL)), {"corenas": text})


def options(**changes: Any) -> bytes:
    """Return a file whose search space has other options."""
    return changed(space={**described()["space"], **changes})


def scaled(scale: Any) -> bytes:
    return changed(extra={"scale": scale})


def space(name: str, **values: Any) -> bytes:
    architecture = {"schema": 1, "space": name, "choices": {}}
    return changed(space={"use": name, **values}, architecture=architecture)


def choices(values: Mapping[str, str]) -> bytes:
    return changed(architecture={**described()["architecture"], "choices": values})


def with_nodes(count: int, operation: str) -> bytes:
    """Return a chain of so many nodes, which the space allows; the weights are those of ten."""
    chosen = {f"op_{n}": operation for n in range(1, count + 1)}
    chosen |= {f"in_{n}": str(n - 1) for n in range(1, count + 1)}
    return changed(
        space={**described()["space"], "nodes": count},
        architecture={**described()["architecture"], "choices": chosen},
    )


def header(length: int, content: bytes = b"") -> bytes:
    return struct.pack("<Q", length) + content


def long_header() -> bytes:
    entry = {"dtype": "F32", "shape": [0], "data_offsets": [0, 0]}
    text = json.dumps({f"{n:08}": entry for n in range(200_000)}).encode()
    return header(len(text), text)


def retyped(dtype: torch.dtype, value: float = 1.0) -> bytes:
    """Return a file whose first weight is of another type and has this value, with its digest."""
    weights = load_file(SMALL)
    shape = weights["head.bias"].shape
    weights["head.bias"] = torch.full(shape, value, dtype=torch.float64).to(dtype)
    return written(described() | {"digest": modelfile._digest(weights)}, weights)


ESCAPE = "\x1b[2J\x07\r"

HOSTILE: dict[str, tuple[Callable[[], bytes], str]] = {
    "channels": (lambda: options(channels=40_000), "has shape .* not .*40000"),
    "channels beyond 64 bits": (lambda: options(channels=10**30), "an integer of at most 63 bits"),
    "channels that overflow": (lambda: options(channels=2**62), "cannot be built"),
    "channels that overflow when squared": (lambda: options(channels=2**40), "cannot be built"),
    "nodes": (lambda: options(nodes=100_000), r"nodes: must be at most 500, got 100000"),
    "nodes without weights": (lambda: with_nodes(500, "inv7"), "is missing; and .* more"),
    "expansion": (
        lambda: options(operations=[{"use": "inv3", "expansion": 10**7}]),
        "unknown option 'ca'",
    ),
    "operations by the thousand": (lambda: options(operations=["conv3"] * 9999), "more than once"),
    "no scale": (lambda: changed(extra={}), "no up-scaling factor"),
    "scale 0": (lambda: scaled(0), "scale must be a whole number from 1 to 16, got 0"),
    "scale -2": (lambda: scaled(-2), "scale must be .*, got -2"),
    "scale 10^6": (lambda: scaled(10**6), "scale must be .*, got 1000000"),
    "scale of another kind": (lambda: scaled("2"), "scale must be .*, got '2'"),
    "scale true": (lambda: scaled(True), "scale must be .*, got True"),
    "scale of another network": (lambda: scaled(4), "its scale is 4, but .* 2"),
    "scale of the space": (lambda: options(scale=10**6), "scale: must be one of 2, 4"),
    "blocks": (
        lambda: space("tpsr-discriminator", blocks=10**9),
        "blocks: must be at most 16, got 1000000000",
    ),
    "cells": (lambda: space("trilevel-b", cells=10**9), "cells: must be at most 100"),
    "a tree of paths": (
        lambda: space("trilevel-b", cells=60, searched_cells=50, ups=40),
        "prefixes of paths; at most 1000",
    ),
    "widths": (
        lambda: space("trilevel-b", widths=list(range(1, 50_000)), features=50_000),
        "widths: at most 100, got 49999",
    ),
    "features": (lambda: space("trilevel-a", features=10**9), "no option is chosen"),
    "choices": (
        lambda: choices({f"op_{n}": "conv3" for n in range(10_001)}),
        "more than 10000 choices",
    ),
    "a description without end": (
        lambda: changed(extra={"note": "x" * 2**21}),
        "description has .* characters; at most 1048576",
    ),
    "nesting": (lambda: written("[" * 100_000), "description cannot be read"),
    "digits": (lambda: written('{"format": ' + "9" * 10_000 + "}"), "cannot be read"),
    "format 0": (lambda: changed(format=0), "cannot be read .*format 0"),
    "format true": (lambda: changed(format=True), "cannot be read .*format True"),
    "format 1.5": (lambda: changed(format=1.5), "cannot be read .*format 1.5"),
    "an endless header": (long_header, "its header has .* bytes; at most 8388608"),
    "a header longer than the file": (lambda: header(2**60, b"{}"), "damaged, or not a model"),
    "a tensor larger than the file": (
        lambda: (
            header(
                84,
                b'{"head.weight":{"dtype":"F32","shape":[1000000,1000000],"data_offsets":[0,4]}}  ',
            )
            + b"1234"
        ),
        "damaged, or not a model file",
    ),
    "integers": (lambda: retyped(torch.int64), "another type: head.bias is torch.int64"),
    "complex numbers": (lambda: retyped(torch.complex64), "another type: head.bias is torch.co"),
    "truth values": (lambda: retyped(torch.bool), "another type: head.bias is torch.bool"),
    "numbers beyond the network's type": (
        lambda: retyped(torch.float64, 1e300),
        "not all finite numbers",
    ),
    "not a number": (lambda: retyped(torch.float8_e5m2, float("nan")), "not all finite numbers"),
    "control characters in the plugin": (
        lambda: changed(plugin=ESCAPE, space={"use": "gone"}),
        "plugin .* is not installed",
    ),
    "control characters in the version": (
        lambda: changed(format=99, corenas=ESCAPE),
        "in format 99",
    ),
    "control characters in a tensor's name": (
        lambda: written(described(), {f"a{ESCAPE}": torch.ones(1)}),
        r"\.",
    ),
    "a message without end": (
        lambda: changed(format=99, corenas="9" * 10**6),
        r"written by CoreNAS 9{100}.* \.\.\.$",
    ),
}


@pytest.fixture(scope="module")
def refusals(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Any]]:
    """Read all files in one process; return what it said of each, and how long that took."""
    folder = tmp_path_factory.mktemp("hostile")
    files = {}
    for number, (name, (content, _)) in enumerate(HOSTILE.items()):
        file = folder / f"{number}.safetensors"
        file.write_bytes(content())
        files[name] = str(file)
    program = f"""
        import json, resource, sys, time
        from pathlib import Path
        from corenas_sr.models.files import load_model

        load_model(Path({str(SMALL)!r}))  # imports what reading needs
        pages = int(Path("/proc/self/statm").read_text().split()[0])
        limit = pages * resource.getpagesize() + {ROOM}
        resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
        said = {{}}
        for name, file in json.load(sys.stdin).items():
            began = time.process_time()
            try:
                load_model(Path(file))
                kind, message = "", "accepted"
            except Exception as error:
                kind, message = type(error).__name__, str(error)
            seconds = time.process_time() - began
            said[name] = {{"kind": kind, "message": message, "seconds": seconds}}
        json.dump(said, sys.stdout)
    """
    command = [sys.executable, "-c", textwrap.dedent(program)]
    run = subprocess.run(
        command, input=json.dumps(files), capture_output=True, text=True, check=False
    )
    assert run.returncode == 0, run.stderr
    said: dict[str, dict[str, Any]] = json.loads(run.stdout)
    return said


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="limits the memory as on Linux")
@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_file_is_refused(name: str, refusals: dict[str, dict[str, Any]]) -> None:
    said, (_, expected) = refusals[name], HOSTILE[name]
    assert said["kind"] in ("DataError", "InputError"), said["message"]
    number = list(HOSTILE).index(name)
    pattern = rf"(?s).*/{number}\.safetensors: .*(?:{expected})"
    assert re.match(pattern, said["message"]), said["message"]
    assert said["message"].isprintable()
    assert len(said["message"]) < 1100
    assert said["seconds"] < 1


def test_the_good_file_in_format_2_is_taken(tmp_path: Path) -> None:
    file = tmp_path / "good.safetensors"
    file.write_bytes(written(described()))
    assert load_model(file).scale == 2
