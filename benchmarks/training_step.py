"""What a training step of a tiny generator costs, and what is done around it.

    python benchmarks/training_step.py [--rounds 20]

Eight seeded cells of the paper's space, batches of 64 patches of 12x12 at ×2, Adam, one thread. The
last rows are of networks of the space ``tiny`` at ×4, batches of 8 patches of 32x32.
"""

from __future__ import annotations

import argparse
import random
import sys
from collections.abc import Callable
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from timing import Row, interleaved_medians, print_rows
from torch import Tensor, nn

from corenas import Architecture, Event, Trial, choose
from corenas_sr.config import EMBEDDED, PixelTrainingConfig
from corenas_sr.data.datasets import ImagePair, load_pairs
from corenas_sr.data.patches import PatchSampler
from corenas_sr.models.kernels import plain_copy
from corenas_sr.training.pixel import PixelStep, pixel_training
from corenas_tpsr.generator.config import GeneratorSpaceConfig
from corenas_tpsr.generator.network import Generator
from corenas_tpsr.generator.space import GeneratorSpace
from corenas_tpsr.policy.config import ReinforceConfig
from corenas_tpsr.policy.reinforce import Reinforce

CELLS = 8
BATCH, PATCH = 64, 12
SCALE = 2
STEPS = 5  # of a training loop in a timed call; trainings have far fewer events
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


def loop_against_bare_step(space: GeneratorSpace, cells: list[Architecture], *, rounds: int) -> Row:
    """Compare the training loop with a hand-written one: same kernels, same sampler, no more."""
    functions: dict[tuple[Architecture, str], Callable[[], object]] = {}
    for cell in cells:
        functions[cell, "loop"] = training_loop(seeded(space, cell))
        functions[cell, "bare"] = bare_loop(seeded(space, cell))
    seconds = interleaved_medians(functions, rounds=rounds)
    loop = sum(seconds[cell, "loop"] for cell in cells) / STEPS
    bare = sum(seconds[cell, "bare"] for cell in cells) / STEPS
    detail = f"{milliseconds(loop)} / {milliseconds(bare)} a step; an event every {STEPS} steps"
    return Row("training loop / bare fast step", loop / bare, 1.08, detail)


def policy_against_step(space: GeneratorSpace, cells: list[Architecture], *, rounds: int) -> Row:
    """Compare drawing a candidate and learning from it with one step of its training."""
    policy = Reinforce(ReinforceConfig(), space.decisions, space.name, seed=0)
    functions: dict[tuple[Architecture, str], Callable[[], object]] = {}
    for cell in cells:
        functions[cell, "step"] = training_step(seeded(space, cell), torch.channels_last)
        functions[cell, "policy"] = lambda: policy.tell(Trial(0, policy.ask(), score=30.0))
    seconds = interleaved_medians(functions, rounds=rounds)
    step = sum(seconds[cell, "step"] for cell in cells)
    learnt = sum(seconds[cell, "policy"] for cell in cells)
    detail = f"{milliseconds(learnt)} / {milliseconds(step)}"
    return Row("policy's sample and update / training step", learnt / step, 0.35, detail)


def branches_against_plain(space: GeneratorSpace, cells: list[Architecture], *, rounds: int) -> Row:
    """Compare a step whose 3x3 kernels are merged from branches with a plain one."""
    return _options_against_plain(
        "step with merged branches / plain step", 1.25, rounds, reparameterise=True
    )


def average_against_plain(space: GeneratorSpace, cells: list[Architecture], *, rounds: int) -> Row:
    """Compare a step with clipped gradients and a moving average with a plain one."""
    return _options_against_plain(
        "step with average and clipping / plain step", 1.10, rounds, ema=0.999, clip=5.0
    )


def _options_against_plain(what: str, bar: float, rounds: int, **options: Any) -> Row:
    """Compare steps of networks made by hand at x4, 8 patches of 32x32."""
    tiny = choose("search_spaces", "tiny").build()
    low, high = (
        torch.randint(0, 256, (8, 3, side, side), dtype=torch.uint8).contiguous(
            memory_format=torch.channels_last
        )
        for side in (32, 128)
    )
    functions: dict[tuple[str, str], Callable[[], object]] = {}
    for name in HAND_MADE:
        for kind, changes in (("plain", {}), ("other", options)):
            torch.manual_seed(0)
            config = PixelTrainingConfig(learning_rate=1e-3, **changes)
            step = PixelStep.of(tiny.build(tiny.known[name]), config)
            functions[name, kind] = partial(step.step, [(low, high)])
    seconds = interleaved_medians(functions, rounds=rounds)
    ratios = {name: seconds[name, "other"] / seconds[name, "plain"] for name in HAND_MADE}
    detail = ", ".join(f"{name} {ratio:.3f}" for name, ratio in ratios.items())
    return Row(what, max(ratios.values()), bar, detail)


HAND_MADE = ("tiny/res3-16x11", "tiny/res3-28x3")

MEASURES = (
    step_against_plain_torch,
    set_up_against_step,
    loop_against_bare_step,
    policy_against_step,
    branches_against_plain,
    average_against_plain,
)


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


def training_loop(network: nn.Module) -> Callable[[], Event]:
    """Return a function that lets the training loop go on until its next event."""
    config = PixelTrainingConfig(
        steps=10**6, batch=BATCH, patch=PATCH, schedule="cosine", report_every=STEPS
    )
    events = pixel_training(network, photographs(), config, scale=SCALE, seed=0).events()
    return lambda: next(events)


def bare_loop(network: nn.Module) -> Callable[[], None]:
    """Return a function that trains as many steps by hand."""
    network = network.to(memory_format=torch.channels_last)
    sampler = PatchSampler(photographs(), scale=SCALE, patch=PATCH, batch=BATCH, seed=0)
    optimizer = torch.optim.Adam(network.parameters(), lr=1e-4)

    def steps() -> None:
        for _ in range(STEPS):
            low, high = (
                side.to(torch.float32, memory_format=torch.channels_last)
                for side in sampler.next_batch()
            )
            loss = F.l1_loss(network(low), high)
            optimizer.zero_grad(set_to_none=True)
            loss.backward()  # type: ignore[no-untyped-call]  # torch lacks the types
            optimizer.step()

    return steps


def photographs() -> tuple[ImagePair, ...]:
    """Return the bundled photographs."""
    return load_pairs(EMBEDDED, scale=SCALE, split="train")


def batch(memory_format: torch.memory_format) -> tuple[Tensor, Tensor]:
    """Return random images of low and high resolution in 0..255."""
    generator = torch.Generator().manual_seed(0)
    low, high = (
        torch.rand((BATCH, 3, size, size), generator=generator).mul(255)
        for size in (PATCH, SCALE * PATCH)
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
