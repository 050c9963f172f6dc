"""How fast training patches are supplied: from memory, from pickled images, from PNG files.

    python benchmarks/patches.py [--rounds 7]

64 patches of 12x12 at ×2 from images of 2040x1356, one thread. The share is of a training step of
eight seeded cells, as in training_step.py.
"""

from __future__ import annotations

import argparse
import pickle
import random
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from fractions import Fraction
from functools import partial
from pathlib import Path

import torch
from attrs import frozen
from rich import print
from rich.table import Table
from timing import interleaved_medians
from torch import Tensor
from training_step import BATCH, CELLS, PATCH, seeded, seeded_cells, training_step

from corenas_sr.data.datasets import ImagePair
from corenas_sr.data.images import read_image, resize, write_image
from corenas_sr.data.patches import Batch, PatchSampler
from corenas_tpsr.generator.config import GeneratorSpaceConfig
from corenas_tpsr.generator.space import GeneratorSpace

SCALE = 2
HEIGHT, WIDTH, IMAGES = 1356, 2040, 8
PNG_CROPS = 4  # decoded in a round; a whole batch takes seconds


@frozen
class Row:
    """A line of the table: what was measured, whether it keeps its bar, and its parts."""

    what: str
    ratio: str
    bar: str
    holds: bool
    detail: str


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=7, help="timed calls of each function")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    with written() as (pairs, folder):
        sampler = PatchSampler(pairs, scale=SCALE, patch=PATCH, batch=BATCH, seed=0)
        rows = [
            share_of_step(sampler, rounds=arguments.rounds),
            *against_files(sampler, folder, rounds=arguments.rounds),
        ]
    table = Table("what", "ratio", "bar", "", "detail", title="supply of training patches")
    for row in rows:
        table.add_row(row.what, row.ratio, row.bar, "holds" if row.holds else "missed", row.detail)
    print(table)
    return 0 if all(row.holds for row in rows) else 1


def share_of_step(sampler: PatchSampler, *, rounds: int) -> Row:
    """Compare a batch with the training step that uses it, in turns as in a training."""
    space = GeneratorSpace(GeneratorSpaceConfig())
    functions: dict[tuple[int, str], Callable[[], object]] = {}
    for number, cell in enumerate(seeded_cells(space, CELLS)):
        functions[number, "step"] = training_step(seeded(space, cell), torch.channels_last)
        functions[number, "batch"] = sampler.next_batch
    seconds = interleaved_medians(functions, rounds=rounds)
    batch, step = (
        sum(seconds[number, what] for number in range(CELLS)) / CELLS for what in ("batch", "step")
    )
    share = batch / step
    detail = f"{1e3 * batch:.2f} / {1e3 * step:.1f} ms"
    return Row("patch sampler / training step", f"{share:.3f}", "<= 0.06", share <= 0.06, detail)


def against_files(sampler: PatchSampler, folder: Path, *, rounds: int) -> list[Row]:
    """Compare with loaders that open both whole images for each crop."""
    functions: dict[str, Callable[[], object]] = {
        "memory": sampler.next_batch,
        "pickled": partial(loaded, folder, unpickled, BATCH),
        "png": partial(loaded, folder, read_image, PNG_CROPS),
    }
    seconds = interleaved_medians(functions, rounds=rounds)
    seconds["png"] *= BATCH / PNG_CROPS
    rows = []
    for what, key, bar in (("pickled images", "pickled", 20), ("a PNG per crop", "png", 1000)):
        ratio = seconds[key] / seconds["memory"]
        detail = f"{1e3 * seconds[key]:,.0f} / {1e3 * seconds['memory']:.2f} ms"
        rows.append(
            Row(f"{what} / patch sampler", f"{ratio:,.0f}", f">= {bar:,}", ratio >= bar, detail)
        )
    return rows


@contextmanager
def written() -> Iterator[tuple[list[ImagePair], Path]]:
    """Make images, and both sides of each as a pickled tensor and as a PNG file."""
    generator = torch.Generator().manual_seed(0)
    pairs = []
    with tempfile.TemporaryDirectory() as name:
        for number in range(IMAGES):
            hr = synthetic(generator)
            pairs.append(ImagePair(str(number), resize(hr, Fraction(1, SCALE)), hr))
            for side, image in (("lr", pairs[-1].lr), ("hr", hr)):
                path = Path(name) / f"{number}{side}.png"
                write_image(path, image)
                path.with_suffix(".pickle").write_bytes(pickle.dumps(image.numpy()))
        yield pairs, Path(name)


def synthetic(generator: torch.Generator) -> Tensor:
    """Return smooth shapes with some noise: a PNG of it is about as large as a photograph's."""
    coarse = torch.rand(3, HEIGHT // 12, WIDTH // 12, generator=generator)
    smooth = 200 * resize(coarse, 12) + 25
    noise = 6 * torch.randn(smooth.shape, generator=generator)
    return (smooth + noise).clamp(0, 255).to(torch.uint8)


def loaded(folder: Path, load: Callable[[Path], Tensor], count: int) -> Batch:
    """Load a random image's two sides for each patch, cut it out and flip it."""
    lows: list[Tensor] = []
    highs: list[Tensor] = []
    for _ in range(count):
        number = random.randrange(IMAGES)
        lr, hr = (load(folder / f"{number}{side}.png") for side in ("lr", "hr"))
        row = random.randrange(lr.shape[1] - PATCH + 1)
        column = random.randrange(lr.shape[2] - PATCH + 1)
        flips = [axis for axis in (1, 2) if random.random() < 0.5]
        for image, scale, patches in ((lr, 1, lows), (hr, SCALE, highs)):
            top, left, side = row * scale, column * scale, PATCH * scale
            patches.append(image[:, top : top + side, left : left + side].flip(flips))
    return torch.stack(lows), torch.stack(highs)


def unpickled(path: Path) -> Tensor:
    with open(path.with_suffix(".pickle"), "rb") as file:
        return torch.from_numpy(pickle.load(file))


if __name__ == "__main__":
    sys.exit(main())
