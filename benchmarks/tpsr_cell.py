"""Train TPSR's published cell on the 291 classic training images, and measure it on Set5 at x4.

    CORENAS_DATA=FOLDER python benchmarks/tpsr_cell.py --minutes 60

The folder holds ``train291/HR`` and ``Set5``. A share of the time goes into x2, whose weights x4
starts from, as in the paper; the numbers of steps are what fits into the time on this machine.
"""

from __future__ import annotations

import argparse
import os
import time
from pathlib import Path

import torch
from shared.trainings import large_enough
from torch import nn

from corenas import choose
from corenas.training.networks import carry_over, seeded
from corenas_sr.config import PixelTrainingConfig
from corenas_sr.data.datasets import load_pairs
from corenas_sr.models.files import save_model
from corenas_sr.models.inference import bicubic, upscale
from corenas_sr.models.named import find_architecture
from corenas_sr.results.evaluation import Evaluation, build_metrics, evaluate
from corenas_sr.training.pixel import pixel_training
from corenas_sr.training.timing import time_training
from corenas_tpsr.generator.network import Generator

PUBLISHED = 31.10
"""Set5 PSNR-Y in dB of the paper's TPSR-NOGAN at x4, trained on DIV2K (supplement, Table 2)."""


def main() -> None:
    arguments = _arguments()
    torch.set_num_threads(arguments.threads)
    data = Path(os.environ["CORENAS_DATA"])
    minutes = arguments.minutes
    print(
        f"{minutes:g} minutes, {arguments.threads} threads, batch {arguments.batch}, "
        f"patches of {arguments.patch} LR pixels, L1, Adam at {arguments.rate:g}, cosine"
    )
    with seeded(0):
        model = find_architecture("tpsr/paper", scale=2).space.build().build(_cell())
    model = _train(model, data, 2, minutes * arguments.share, arguments)
    _report(model, data, 2)
    with seeded(1):
        larger = find_architecture("tpsr/paper", scale=4).space.build().build(_cell())
    carry_over(model, larger)
    larger = _train(larger, data, 4, minutes * (1 - arguments.share), arguments)
    ours = _report(larger, data, 4)
    if arguments.save is not None:
        named = find_architecture("tpsr/paper", scale=4)
        save_model(
            arguments.save, larger, space=named.space, architecture=named.architecture, scale=4
        )
    print(f"published, from DIV2K and 900 epochs: {PUBLISHED:.2f} dB; "
          f"difference {ours.mean['psnr'] - PUBLISHED:+.2f} dB")  # fmt: skip


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=60)
    parser.add_argument("--share", type=float, default=0.4, help="of the time, for x2")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--patch", type=int, default=32)
    parser.add_argument("--rate", type=float, default=2e-3)
    parser.add_argument("--save", type=Path, help="model file to write the x4 network to")
    return parser.parse_args()


def _cell():
    return find_architecture("tpsr/paper", scale=2).architecture


def _train(
    model: Generator, data: Path, scale: int, minutes: float, arguments: argparse.Namespace
) -> Generator:
    pairs = load_pairs(str(data / "train291" / "HR"), scale=scale, split="train")
    usable = large_enough(pairs, arguments.patch)
    config = PixelTrainingConfig(
        steps=1,
        batch=arguments.batch,
        patch=arguments.patch,
        learning_rate=arguments.rate if scale == 2 else arguments.rate / 2,
        schedule="cosine",
        report_every=500,
    )
    with seeded(0):
        probe = find_architecture("tpsr/paper", scale=scale).space.build().build(_cell())
    seconds, _ = time_training(probe, usable, config, scale=scale, device="cpu")
    config = PixelTrainingConfig(
        steps=max(1, int(60 * minutes / seconds)),
        batch=config.batch,
        patch=config.patch,
        learning_rate=config.learning_rate,
        schedule="cosine",
        report_every=500,
    )
    started = time.monotonic()
    for event in pixel_training(model, usable, config, scale=scale, seed=0).events():
        if event.step % 5000 < 500:
            print(f"x{scale} step {event.step}/{event.total} loss {event.scalars['loss']:.4f}")
    took = (time.monotonic() - started) / 60
    print(f"x{scale}: {config.steps} steps on {len(usable)} images in {took:.1f} minutes")
    return model


def _report(model: nn.Module, data: Path, scale: int) -> Evaluation:
    pairs = load_pairs(str(data / "Set5"), scale=scale, split="validation")
    metrics = build_metrics([choose("metrics", name) for name in ("psnr", "ssim")])
    model.eval()
    ours = evaluate(lambda pair: upscale(model, pair.lr, scale=scale), pairs, metrics, scale=scale)
    base = evaluate(lambda pair: bicubic(pair.lr, scale), pairs, metrics, scale=scale)
    model.train()
    for name in ours.mean:
        print(f"Set5 x{scale} {name}: {ours.mean[name]:.4f}, bicubic {base.mean[name]:.4f} "
              f"({ours.protocol[name]})")  # fmt: skip
    return ours


if __name__ == "__main__":
    main()
