"""What a training step of a tiny generator costs, and what is done around it.

    python benchmarks/training_step.py [--rounds 20]

Eight seeded cells of the paper's space, batches of 64 patches of 12x12 at ×2, Adam, one thread.
"""

from __future__ import annotations

import argparse
import random
import sys
from collections.abc import Callable

import torch
import torch.nn.functional as F
from timing import Row, interleaved_medians, print_rows
from torch import Tensor, nn

from corenas.space import Architecture
from corenas_sr.kernels import plain_copy
from corenas_tpsr.generator import Generator, GeneratorSpace
from corenas_tpsr.space_config import GeneratorSpaceConfig

CELLS = 8
BATCH, PATCH = 64, 12
HEIGHT, WIDTH = 360, 640  # low resolution of a 1280x720 output at ×2


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=20, help="timed calls of each function")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    space = GeneratorSpace(GeneratorSpaceConfig())
    cells = seeded_cells(space, CELLS)
    rows = [measure(space, cells, rounds=arguments.rounds) for measure in MEASURES]
    return print_rows(f"training step, {CELLS} cells, {BATCH} patches of {PATCH}x{PATCH}", rows)


def step_against_plain_torch(
    space: GeneratorSpace, cells: list[Architecture], *, rounds: int
) -> Row:
    """Compare with the same networks as nn.Conv2d and nn.PReLU in torch's default layout."""
    steps = {}
    for cell in cells:
        generator = seeded(space, cell)
        steps[cell, "plain"] = training_step(plain_copy(generator), torch.contiguous_format)
        steps[cell, "fast"] = training_step(generator, torch.channels_last)
    seconds = interleaved_medians(steps, rounds=rounds)
    fast = sum(seconds[cell, "fast"] for cell in cells)
    plain = sum(seconds[cell, "plain"] for cell in cells)
    detail = f"{milliseconds(fast)} / {milliseconds(plain)} a step"
    return Row("training step / plain torch step", fast / plain, 0.60, detail)


def set_up_against_step(space: GeneratorSpace, cells: list[Architecture], *, rounds: int) -> Row:
    """Compare all that a new candidate costs before its first step with that step."""
    functions: dict[tuple[Architecture, str], Callable[[], object]] = {}
    for cell in cells:
        generator = seeded(space, cell)
        cached = {name: tensor.clone() for name, tensor in generator.state_dict().items()}
        functions[cell, "step"] = training_step(generator, torch.channels_last)
        functions[cell, "set-up"] = candidate_set_up(space, cell, cached)
    seconds = interleaved_medians(functions, rounds=rounds)
    step = sum(seconds[cell, "step"] for cell in cells)
    set_up = sum(seconds[cell, "set-up"] for cell in cells)
    detail = f"{milliseconds(set_up)} / {milliseconds(step)}; cost, build, cached weights, Adam"
    return Row("candidate's set-up / training step", set_up / step, 0.25, detail)


MEASURES = (step_against_plain_torch, set_up_against_step)


def seeded_cells(space: GeneratorSpace, count: int) -> list[Architecture]:
    """Return architectures drawn uniformly with a fixed seed."""
    draw = random.Random(0)
    return [
        Architecture(space.name, {d.name: draw.choice(d.options) for d in space.decisions})
        for _ in range(count)
    ]


def seeded(space: GeneratorSpace, cell: Architecture) -> Generator:
    """Return the same generator each time."""
    torch.manual_seed(0)
    return space.build(cell)


def training_step(network: nn.Module, memory_format: torch.memory_format) -> Callable[[], None]:
    """Return a function that trains the network one step, on the same batch each time."""
    network = network.to(memory_format=memory_format)
    low, high = batch(memory_format)
    optimizer = torch.optim.Adam(network.parameters(), lr=1e-4)

    def step() -> None:
        optimizer.zero_grad(set_to_none=True)
        loss = F.l1_loss(network(low), high)
        loss.backward()  # type: ignore[no-untyped-call]  # torch lacks the types
        optimizer.step()

    return step


def batch(memory_format: torch.memory_format) -> tuple[Tensor, Tensor]:
    """Return random images of low and high resolution in 0..255."""
    generator = torch.Generator().manual_seed(0)
    low, high = (
        torch.rand((BATCH, 3, size, size), generator=generator).mul(255)
        for size in (PATCH, 2 * PATCH)
    )
    return (
        low.contiguous(memory_format=memory_format),
        high.contiguous(memory_format=memory_format),
    )


def candidate_set_up(
    space: GeneratorSpace, cell: Architecture, cached: dict[str, Tensor]
) -> Callable[[], None]:
    """Return a function that does what is done before a candidate's first step."""

    def set_up() -> None:
        space.cost(cell, height=HEIGHT, width=WIDTH)
        network = space.build(cell)
        network.load_state_dict(cached)
        network.to(memory_format=torch.channels_last)
        torch.optim.Adam(network.parameters(), lr=1e-4)

    return set_up


def milliseconds(total: float) -> str:
    return f"{1e3 * total / CELLS:.1f} ms"


if __name__ == "__main__":
    sys.exit(main())
