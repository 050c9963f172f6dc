"""The latency of candidates: timed when they have been trained, or summed from a table before."""

from __future__ import annotations

from pathlib import Path

import torch
from attrs import frozen
from torch import nn

from corenas import LATENCY, Architecture, ConfigError, DataError, SearchSpace
from corenas.cost import MadeOfParts
from corenas_sr.config import CandidateConfig
from corenas_sr.latency.measuring import measure_latency
from corenas_sr.latency.table import LatencyTable
from corenas_sr.training.reparameterise import as_shipped


@frozen
class Estimator:
    """A latency table with the space that it was found to fit."""

    table: LatencyTable
    space: MadeOfParts

    @classmethod
    def read(cls, path: Path, space: SearchSpace) -> Estimator:
        """Read a table.

        Raises:
            DataError: It cannot be read.
            ConfigError: It is not for the space as its options are.
        """
        try:
            table = LatencyTable.read(path)
            return cls(table, table.check(space))
        except DataError as error:
            raise DataError(f"latency_table: {error}") from error
        except ConfigError as error:
            raise ConfigError(f"latency_table: {path}: {error}") from error

    def estimate(self, architecture: Architecture) -> float:
        """Return the seconds of a forward pass."""
        return self.table.estimate(self.space, architecture)


def time_candidate(model: nn.Module, config: CandidateConfig) -> dict[str, float]:
    """Return the seconds of a forward pass as ``latency``, where the options ask for it.

    The network is timed as it ships, on the device where it is if the engine is torch.
    """
    if config.latency is None:
        return {}
    width, height = config.latency
    found = measure_latency(
        config.latency_engine.build(),
        as_shipped(model),
        (1, 3, height, width),
        threads=torch.get_num_threads(),
        seconds=0.0,
    )
    return {LATENCY.name: found.median}
