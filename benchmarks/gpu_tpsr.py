"""TPSR on a GPU: candidates per hour, optimiser steps per second, memory, and speed against a CPU.

    python benchmarks/gpu_tpsr.py --device cuda --seconds 30

First the whole recipe runs on the device, a few candidates and steps of each stage. Then each part
runs for so many seconds on the device and as many on one CPU thread: the proxy task of a candidate,
the trainings at both scales, and the adversarial step of stage two with VGG19 features. Images are
the bundled photographs; sizes are the paper's, unless ``--small`` asks for those that a CPU does in
a moment. What VGG19 knows costs nothing, so its weights are random here.
"""

from __future__ import annotations

import argparse
import itertools
import json
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import torch
from attrs import frozen

from corenas import Architecture
from corenas.training.networks import seeded
from corenas.training.step import TrainingStep
from corenas_sr.data.datasets import load_pairs
from corenas_sr.data.patches import PatchSampler
from corenas_sr.features.config import CUTS, LossWeights
from corenas_sr.features.trunks import random_trunk
from corenas_sr.models.named import find_architecture
from corenas_sr.results.evaluation import Crops, build_metrics
from corenas_sr.training.adversarial import AdversarialStep
from corenas_sr.training.losses import FeatureLoss, StandardAdversarial
from corenas_sr.training.pixel import PixelStep
from corenas_tpsr.discriminator.config import DiscriminatorSpaceConfig
from corenas_tpsr.discriminator.space import DiscriminatorSpace
from corenas_tpsr.generator.config import ProxyConfig

Step = Callable[[], object]


@frozen
class Part:
    """Something that is repeated: how often a second, and the peak of the device's memory."""

    name: str
    unit: str
    make: Callable[[str], Step]


@frozen
class Sizes:
    """Batches and patches in low-resolution pixels, as (batch, patch)."""

    proxy: tuple[int, int]
    full: tuple[int, int]
    adversarial: tuple[int, int]


PAPER = Sizes((64, 12), (16, 48), (32, 24))
SMALL = Sizes((4, 8), (2, 12), (2, 8))


def main() -> None:
    arguments = _arguments()
    torch.set_num_threads(1)
    sizes = SMALL if arguments.small else PAPER
    devices = list(dict.fromkeys([arguments.device, "cpu"]))
    if arguments.device.startswith("cuda"):
        print(f"{torch.cuda.get_device_name(arguments.device)}, torch {torch.__version__}")
    _recipe(arguments.device, sizes, small=arguments.small)
    print(f"{arguments.seconds:g} s for each part and device, sizes (batch, patch): {sizes}")
    print("| part | " + " | ".join(f"{d} | memory" for d in devices) + " | ratio |")
    print("|---" * (2 + 2 * len(devices)) + "|")
    for part in _parts(sizes):
        rates = {device: _rate(part, device, arguments.seconds) for device in devices}
        cells = [f"{r:.4g} {part.unit} | {m / 2**20:.0f} MiB" for r, m in rates.values()]
        ratio = rates[devices[0]][0] / rates[devices[-1]][0]
        print(f"| {part.name} | " + " | ".join(cells) + f" | {ratio:.2f} |", flush=True)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--seconds", type=float, default=30)
    parser.add_argument("--small", action="store_true")
    return parser.parse_args()


def _recipe(device: str, sizes: Sizes, *, small: bool) -> None:
    """Run every stage of the recipe on the device, and say what the searches did in an hour."""
    candidates, steps = (3, 10) if small else (12, 2000)
    trainings = {
        "search.evaluator.training": sizes.proxy,
        "x2": sizes.full,
        "x4": sizes.full,
        "discriminator.evaluator.training": sizes.adversarial,
        "compare.training": sizes.adversarial,
    }
    values: dict[str, object] = {
        "search.steps": candidates,
        "discriminator.steps": candidates,
        "discriminator.evaluator.evaluate_every": steps // 5,
    }
    for which, (batch, patch) in trainings.items():
        values |= {f"{which}.steps": steps, f"{which}.batch": batch, f"{which}.patch": patch}
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "run"
        assignments = [f"--set={name}={value}" for name, value in values.items()]
        command = ["corenas", "run", "tpsr", f"--out={out}", f"--device={device}", *assignments]
        subprocess.run(command, check=True)
        seconds = json.loads((out / "summary.json").read_text())["seconds"]
    for stage, took in seconds.items():
        rate = f", {3600 * candidates / took:.4g} candidates/h" * (
            stage in ("search", "discriminator")
        )
        print(f"stage {stage}: {took:.1f} s of {steps} steps each{rate}")


def _parts(sizes: Sizes) -> Iterator[Part]:
    """Describe what is measured; nothing is built yet."""
    yield Part("proxy task, x2", "steps/s", lambda device: _pixel(2, *sizes.proxy, device))
    yield Part("measuring a candidate", "times/s", _measuring)
    for scale in (2, 4):
        full = sizes.full
        yield Part(
            f"full training, x{scale}",
            "steps/s",
            lambda device, scale=scale, full=full: _pixel(scale, *full, device),
        )
    yield Part("adversarial step, x4", "steps/s", lambda d: _adversarial(*sizes.adversarial, d))


def _rate(part: Part, device: str, seconds: float) -> tuple[float, int]:
    """Return how much is done in a second, and the peak of memory in bytes on a GPU."""
    step = part.make(device)
    for _ in range(8):  # a CUDA graph is captured at the fourth step
        step()
    cuda = device.startswith("cuda")
    if cuda:
        torch.cuda.reset_peak_memory_stats(device)
        torch.cuda.synchronize(device)
    started = time.perf_counter()
    for done in itertools.count(1):
        step()
        if cuda and done % 50 == 0:
            torch.cuda.synchronize(device)
        if time.perf_counter() - started > seconds and (not cuda or done % 50 == 0):
            break
    took = time.perf_counter() - started
    memory = torch.cuda.max_memory_allocated(device) if cuda else 0
    return done / took, memory


def _network(scale: int) -> torch.nn.Module:
    named = find_architecture("tpsr/paper", scale=scale)
    with seeded(0):
        network: torch.nn.Module = named.space.build().build(named.architecture)
    return network


def _driven(step: TrainingStep, scale: int, batch: int, patch: int, device: str) -> Step:
    pairs = load_pairs("embedded", scale=scale, split="train")
    stream = PatchSampler(pairs, scale=scale, patch=patch, batch=batch, seed=0, device=device)
    return lambda: step.step([stream.next_batch()])


def _pixel(scale: int, batch: int, patch: int, device: str) -> Step:
    step = PixelStep(_network(scale), learning_rate=1e-4, device=device)
    return _driven(step, scale, batch, patch, device)


def _adversarial(batch: int, patch: int, device: str) -> Step:
    space = DiscriminatorSpace(DiscriminatorSpaceConfig(patch=4 * patch))
    choices = {
        d.name: "conv3" if d.name.startswith("op") else "reduce-conv3" for d in space.decisions
    }
    with seeded(1):
        discriminator = space.build(Architecture(space.name, choices))
    step = AdversarialStep(
        _network(4),
        discriminator,
        features=FeatureLoss(random_trunk("vgg19"), [CUTS["vgg19"]["22"]], distance="mse"),
        adversarial=StandardAdversarial(),
        weights=LossWeights(),
        learning_rate=1e-4,
        device=device,
    )
    return _driven(step, 4, batch, patch, device)


def _measuring(device: str) -> Step:
    config = ProxyConfig()
    pairs = load_pairs("embedded", scale=2, split="validation")
    crops = Crops.spread(pairs, size=config.crop_size, count=config.crops, scale=2)
    network = _network(2).to(device)
    metrics = build_metrics(config.metrics)
    return lambda: crops.measure(network, metrics, scale=2, device=device)


if __name__ == "__main__":
    main()
