"""Making a latency table: each part of a space timed once, sums compared with whole networks."""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from statistics import mean

import numpy as np
import torch
from attrs import evolve
from scipy.stats import spearmanr
from torch import nn

from corenas.cost import MadeOfParts, Part, Shape
from corenas.errors import ConfigError, InputError
from corenas.names import printable
from corenas.protocols import SearchSpace
from corenas.search.strategies.random import random_architecture
from corenas.training.networks import seeded
from corenas.values.architecture import Architecture
from corenas_sr.latency.engine import Engine
from corenas_sr.latency.measuring import measure_latency
from corenas_sr.latency.table import LatencyTable, check_parts
from corenas_sr.training.reparameterise import as_shipped

CHAIN = 4
"""A part is timed so many times in a row and once: the difference leaves out how images come in."""

PART_SECONDS, NETWORK_SECONDS = 0.2, 0.6
"""How long the runs of a part and of a whole network may take once there are enough of them."""

MEMBERS = 30
"""Networks drawn at random, whose times the sums are compared with."""

_TRIES = 1000
Say = Callable[[str], None]


def build_table(
    space: SearchSpace,
    engine: Engine,
    *,
    size: tuple[int, int],
    threads: int,
    out: Path,
    members: int = MEMBERS,
    say: Say,
) -> LatencyTable:
    """Time all parts that a file does not have yet, compare sums with networks, write the file.

    The file is written after each part, so that what was interrupted goes on there.

    Args:
        space: What the parts are of.
        engine: What runs them.
        size: Width and height of the low-resolution image.
        threads: How many threads compute.
        out: The file; one that is there must be of the same space, size, engine and processor.
        members: How many networks are timed as a whole.
        say: Tells the user what is going on.

    Raises:
        ConfigError: The space does not tell its parts.
        InputError: The file is there, and was made for something else.
        CorenasError: The engine fails.
    """
    parts = check_parts(space)
    table = _begin(space, engine, size, threads, out)
    every = {part.key: part for part in parts.all_parts(table.shape)}
    # All are built before any is timed, so that one that cannot be ends this at once.
    outputs = {key: _output_of(part) for key, part in every.items()}
    missing = [part for key, part in every.items() if key not in table.seconds]
    say(f"{len(every)} parts of {space.name}, {len(missing)} of them to be timed")
    for number, part in enumerate(missing, start=1):
        there_and_back = [part, *_back(part, every, outputs)]
        taken = time_part(engine, there_and_back, threads=threads)
        table = evolve(table, seconds={**table.seconds, part.key: taken})
        table.write(out)
        say(f"{number}/{len(missing)}: {part.key}: {1e3 * taken:.3f} ms")
    compared = list(_compare(space, parts, engine, table, members, say))
    if compared:
        table = evolve(table, agreement=_agreement(compared))
        table.write(out)
    return table


def _begin(
    space: SearchSpace, engine: Engine, size: tuple[int, int], threads: int, out: Path
) -> LatencyTable:
    # As a file is read: what goes to the screen is made printable.
    names = printable(engine.name()), printable(engine.processor())
    fresh = LatencyTable(space.name, size, names[0], threads, names[1])
    if not out.exists():
        return fresh
    known = LatencyTable.read(out)
    for name in ("space", "input", "engine", "threads", "processor"):
        was, now = getattr(known, name), getattr(fresh, name)
        if was != now:
            raise InputError(f"{out}: exists, with {name} {was!r} in place of {now!r}")
    return known


def _back(part: Part, every: Mapping[str, Part], outputs: Mapping[str, Shape]) -> list[Part]:
    """Return the part that leads from a part's output back to its input, if one is needed.

    Of several, one of the same kind is taken, as with an operation from 16 to 24 channels and the
    same one from 24 to 16.
    """
    if outputs[part.key] == part.shape:
        return []
    fitting = [
        other
        for key, other in every.items()
        if (other.shape, outputs[key]) == (outputs[part.key], part.shape)
    ]
    kind = part.name.split()[0]
    return sorted(fitting, key=lambda other: other.name.split()[0] != kind)[:1]


def time_part(engine: Engine, parts: Sequence[Part], *, threads: int) -> float:
    """Return the seconds that the first of these parts adds to a network.

    Together they keep the shape of their input, and are timed `CHAIN` times in a row less once, for
    each further time: what comes before and after all of them, such as another memory layout, is
    left out. Of two, the first has the share that it has of their times alone. A part by itself
    that gives another shape is timed once, and alone.
    """
    alone = [_time(engine, [part], threads) for part in parts]
    if len(parts) == 1 and _output_of(parts[0]) != parts[0].shape:
        return alone[0]
    once = alone[0] if len(parts) == 1 else _time(engine, parts, threads)
    several = _time(engine, [*parts] * CHAIN, threads)
    if several <= once:
        # Something else had the machine for a while; or it is less than the clock can tell.
        once, several = (_time(engine, [*parts] * times, threads) for times in (1, CHAIN))
    share = alone[0] / sum(alone) if sum(alone) else 1 / len(alone)
    return share * max(0.0, several - once) / (CHAIN - 1)


def _time(engine: Engine, parts: Sequence[Part], threads: int) -> float:
    with seeded(0):
        chain = nn.Sequential(*(part.build() for part in parts))
    return _seconds(engine, chain, parts[0].shape, threads, PART_SECONDS)


def _seconds(
    engine: Engine, network: nn.Module, shape: tuple[int, ...], threads: int, enough: float
) -> float:
    ready = as_shipped(network)
    return measure_latency(engine, ready, shape, threads=threads, seconds=enough).median


def _output_of(part: Part) -> Shape:
    """Return the shape of a part's output; nothing is computed."""
    with torch.device("meta"), torch.no_grad():
        return tuple(part.build().eval()(torch.empty(part.shape)).shape)


def _compare(
    space: SearchSpace,
    parts: MadeOfParts,
    engine: Engine,
    table: LatencyTable,
    members: int,
    say: Say,
) -> Iterator[tuple[float, float]]:
    """Yield the sum of the parts and the time of the whole, for networks drawn at random."""
    drawn = _draw(space, members)
    for number, architecture in enumerate(drawn, start=1):
        expected = table.estimate(parts, architecture)
        with seeded(0):
            network = space.build(architecture)
        whole = _seconds(engine, network, table.shape, table.threads, NETWORK_SECONDS)
        say(
            f"network {number}/{len(drawn)}: {1e3 * whole:.2f} ms, sum of its parts "
            f"{1e3 * expected:.2f} ms"
        )
        yield expected, whole


def _draw(space: SearchSpace, count: int) -> Sequence[Architecture]:
    """Return different networks, each decision drawn alike; fewer where the space has no more."""
    rng = np.random.default_rng(0)
    found: dict[str, Architecture] = {}
    for _ in itertools.repeat(None, _TRIES):
        if len(found) >= count:
            break
        member = random_architecture(space, rng)
        found.setdefault(member.id, member)
    return list(found.values())


def _agreement(compared: Sequence[tuple[float, float]]) -> Mapping[str, float]:
    sums, wholes = np.array(compared).T
    errors = (sums - wholes) / wholes
    found = {
        "networks": float(len(compared)),
        "mean_relative_error": float(np.abs(errors).mean()),
        "mean_error": float(mean(errors)),
    }
    # Of constant times, as some command may print, there is no rank correlation.
    if min(len(set(sums)), len(set(wholes))) > 1:
        found["spearman"] = float(spearmanr(sums, wholes).statistic)
    return found


def describe(table: LatencyTable) -> str:
    """Return how sums agree with whole networks, in words."""
    found = table.agreement
    if not found:
        return "no network was timed as a whole"
    rank = f"Spearman {found['spearman']:.3f}, " if "spearman" in found else ""
    return (
        f"sums of parts against {found['networks']:.0f} whole networks: {rank}mean relative error "
        f"{100 * found['mean_relative_error']:.1f} %, mean {100 * found['mean_error']:+.1f} %"
    )


def check_out(out: Path) -> None:
    """Refuse a file that cannot be written before anything is timed.

    Raises:
        ConfigError: Its folder is not there, or not to be written into.
    """
    folder = out.absolute().parent
    if not folder.is_dir():
        raise ConfigError(f"--out {out}: there is no folder {folder}")
    if not os.access(folder, os.W_OK):
        raise ConfigError(f"--out {out}: {folder} cannot be written into")
