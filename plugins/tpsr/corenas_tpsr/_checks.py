"""Checks before a run begins: searches, objectives, and sizes of patches."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

import torch
from attrs import evolve

from corenas import ConfigError, InputError, check_search
from corenas_sr.models.files import load_model
from corenas_tpsr.config import TpsrConfig
from corenas_tpsr.discriminator.srgan import SrganDiscriminator
from corenas_tpsr.perceptual.full_task import at_patch


def check_searches(config: TpsrConfig) -> None:
    """Refuse options with which the searches or the comparison would fail after hours.

    Raises:
        ConfigError: The message names what is missing and how to have it measured.
        DataError: The file of a generator, weights or images cannot be used.
    """
    if config.stages != "discriminator":
        check_search("search", config.search, data=config.data)
    if config.stages != "generator":
        known = config.discriminator.evaluator.filled(generator=config.generator)
        search = evolve(config.discriminator, evaluator=known)
        check_search("discriminator", search, data=config.data)
        _check_patch(config)


def full_patches(config: TpsrConfig) -> Mapping[int, int]:
    """Return by scale how large the images of the full trainings must be, in LR pixels.

    The patches of the searches are not among them: their evaluators check these.
    """
    sides: dict[int, int] = {}
    for scale, side in _training_patches(config):
        sides[scale] = max(side, sides.get(scale, 0))
    return sides


def _training_patches(config: TpsrConfig) -> Iterator[tuple[int, int]]:
    """Yield scale and patch of each full training."""
    if config.stages != "discriminator":
        yield 2, config.x2.largest_patch
        yield 4, config.x4.largest_patch
    if config.stages != "generator":
        yield _generator_scale(config.generator), config.compare.training.patch


def _generator_scale(generator: Path | None) -> int:
    """Return the scale of the generator that stage two improves; ours, without a file, is x4."""
    return 4 if generator is None else load_model(generator).scale


def _check_patch(config: TpsrConfig) -> None:
    """Refuse patches that the discriminators of the comparison cannot halve often enough."""
    patch, scale = config.compare.training.patch, _generator_scale(config.generator)
    try:
        at_patch(config.discriminator.space, scale * patch)
        if not {"srgan", "esrgan"}.isdisjoint(config.compare.baselines):
            # Built for its error alone; on a real device it has 80 million parameters at 192.
            with torch.device("meta"):
                SrganDiscriminator(scale * patch)
    except InputError as error:
        raise ConfigError(
            f"compare.training.patch: {patch} low-resolution pixels are {scale * patch} at scale "
            f"{scale}, which its discriminators cannot take: {error}"
        ) from error
