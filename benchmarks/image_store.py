"""What it saves to keep decoded images: time to the first patch, and memory of many workers.

    CORENAS_DATA=FOLDER python benchmarks/image_store.py [--workers 8] [--scale 4]

The folder holds ``train291/HR``. The processes that are started load those images, draw a batch,
read every pixel and wait. Times are CPU times from the start of loading to the first batch. Memory
is proportional (PSS), in which what several processes map counts once; that of as many processes
that do the same with one image is taken off.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import Any

from PIL import Image
from timing import Row, print_rows

PATCH, BATCH = 24, 16
AGAIN = 5
"""Starts on prepared data, of which the median counts."""


def main() -> int:
    arguments = _arguments()
    if arguments.work:
        return _work(arguments)
    with tempfile.TemporaryDirectory() as cache:
        source = Path(os.environ["CORENAS_DATA"]) / "train291" / "HR"
        few = Path(cache) / "one"
        few.mkdir()
        one = next(file for file in sorted(source.iterdir()) if min(Image.open(file).size) >= 200)
        (few / one.name).symlink_to(one.resolve())
        with _workers(arguments, cache, source, 1) as (first, _):
            decoding = first[0]["seconds"]
        starts = []
        for _ in range(AGAIN):
            with _workers(arguments, cache, source, 1) as (told, _):
                starts.append(told[0]["seconds"])
        with _workers(arguments, cache, source, arguments.workers) as (_, with_images):
            pass
        with _workers(arguments, cache, few, arguments.workers) as (_, without):
            pass
    data, again = first[0]["bytes"], median(starts)
    detail = f"{decoding:.2f} s with decoding, {again:.3f} s without, {first[0]['images']} images"
    rows = [Row("first batch from kept images / from files", again / decoding, 0.1, detail)]
    images = [one - other for one, other in zip(with_images, without, strict=True)]
    for number in range(1, arguments.workers):
        share = (images[number] - images[0]) / number / data
        detail = f"{with_images[number] / 1e6:.0f} MB, {without[number] / 1e6:.0f} with one image"
        rows.append(Row(f"{number + 1} workers: more of the images each", share, 0.05, detail))
    return print_rows(f"{data / 1e6:.0f} MB of images, decoded once", rows)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--workers", type=int, default=8)
    parser.add_argument("--scale", type=int, default=4)
    parser.add_argument("--work", default="", help=argparse.SUPPRESS)
    return parser.parse_args()


@contextmanager
def _workers(
    arguments: argparse.Namespace, cache: str, images: Path, count: int
) -> Iterator[tuple[Sequence[dict[str, Any]], Sequence[float]]]:
    """Start processes one by one; give what each told, and the PSS of all after each start."""
    command = [sys.executable, __file__, f"--work={images}", f"--scale={arguments.scale}"]
    env = {**os.environ, "XDG_CACHE_HOME": cache, "OMP_NUM_THREADS": "1"}
    running: list[subprocess.Popen[str]] = []
    told, memory = [], []
    try:
        for _ in range(count):
            process = subprocess.Popen(
                command, env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
            )
            running.append(process)
            assert process.stdout is not None
            told.append(json.loads(process.stdout.readline()))
            memory.append(sum(_pss(each.pid) for each in running))
        yield told, memory
    finally:
        for process in running:
            process.communicate("")


def _pss(pid: int) -> float:
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    return 1024.0 * next(int(line.split()[1]) for line in lines if line.startswith("Pss:"))


def _work(arguments: argparse.Namespace) -> int:
    from corenas_sr.data.datasets import load_pairs
    from corenas_sr.data.patches import PatchSampler

    began = time.process_time()
    pairs = load_pairs(arguments.work, scale=arguments.scale, split="train")
    usable = [pair for pair in pairs if min(pair.lr.shape[1:]) >= PATCH]
    sampler = PatchSampler(usable, scale=arguments.scale, patch=PATCH, batch=BATCH, seed=0)
    sampler.next_batch()
    seconds = time.process_time() - began
    images = [side for pair in pairs for side in (pair.lr, pair.hr)]
    for image in images:
        image.amax()  # reads every pixel, and needs no memory of its own
    size = sum(image.numel() for image in images)
    told = {"seconds": seconds, "images": len(pairs), "bytes": size}
    print(json.dumps(told), flush=True)
    sys.stdin.read()
    return 0


if __name__ == "__main__":
    sys.exit(main())
