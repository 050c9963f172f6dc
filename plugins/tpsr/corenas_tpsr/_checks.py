"""What is checked before a run begins: searches, objectives, and sizes of patches."""

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
    """Refuse what the searches and the comparison would fail at, hours later.

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
    """Return by scale the side that images of the full trainings must have, in LR pixels.

    What the searches train on, their evaluators check.
    """
    sides: dict[int, int] = {}
    for scale, side in _patches(config):
        sides[scale] = max(side, sides.get(scale, 0))
    return sides


def _patches(config: TpsrConfig) -> Iterator[tuple[int, int]]:
    """Iterate over the trainings' scales and patches."""
    if config.stages != "discriminator":
        yield 2, config.x2.patch
        yield 4, config.x4.patch
    if config.stages != "generator":
        yield _scale(config.generator), config.compare.training.patch


def _scale(generator: Path | None) -> int:
    """Return the scale of a generator, which without a file is the one that is to be found."""
    return 4 if generator is None else load_model(generator).scale


def _check_patch(config: TpsrConfig) -> None:
    """Refuse patches that the comparison's discriminators cannot halve as often as they do."""
    patch, scale = config.compare.training.patch, _scale(config.generator)
    try:
        at_patch(config.discriminator.space, scale * patch)
        if not {"srgan", "esrgan"}.isdisjoint(config.compare.baselines):
            with torch.device("meta"):
                SrganDiscriminator(scale * patch)
    except InputError as error:
        raise ConfigError(
            f"compare.training.patch: {patch} low-resolution pixels are {scale * patch} at scale "
            f"{scale}, which its discriminators cannot take: {error}"
        ) from error
