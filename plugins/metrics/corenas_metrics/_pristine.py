"""The statistics of pristine photographs that NIQE compares with, and their JSON file."""

from __future__ import annotations

import json
from functools import cache
from importlib.resources import files
from pathlib import Path

import torch
from attrs import frozen
from torch import Tensor

from corenas.errors import DataError

FEATURES = 36


@frozen(eq=False)
class PristineModel:
    """A multivariate Gaussian over NIQE's features: mean (36,) and covariance (36, 36), float64."""

    mean: Tensor
    covariance: Tensor

    def save(self, path: str | Path) -> None:
        """Write the model as JSON, which `load_model` reads back equal."""
        value = {"mean": self.mean.tolist(), "covariance": self.covariance.tolist()}
        Path(path).write_text(json.dumps(value) + "\n", encoding="utf-8")


def load_model(path: str | Path) -> PristineModel:
    """Read a model that `PristineModel.save` wrote.

    Raises:
        DataError: The file is missing or is no such model.
    """
    try:
        return _parse(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise DataError(f"{path}: {error.strerror or error}") from error
    except (ValueError, TypeError, KeyError) as error:
        raise DataError(
            f"{path}: not a model of pristine photographs (JSON with 'mean', {FEATURES} numbers, "
            f"and 'covariance', {FEATURES}x{FEATURES}): {error}"
        ) from error


@cache
def live_model() -> PristineModel:
    """Return the model that the authors of NIQE released (see ``data/NOTICE``)."""
    text = files("corenas_metrics").joinpath("data/niqe_live.json").read_text(encoding="utf-8")
    return _parse(text)


def _parse(text: str) -> PristineModel:
    value = json.loads(text)
    mean, covariance = (
        torch.tensor(value[key], dtype=torch.float64) for key in ("mean", "covariance")
    )
    if mean.shape != (FEATURES,) or covariance.shape != (FEATURES, FEATURES):
        raise ValueError(f"got shapes {tuple(mean.shape)} and {tuple(covariance.shape)}")
    if not bool(mean.isfinite().all() and covariance.isfinite().all()):
        raise ValueError("got values that are not finite")
    return PristineModel(mean, covariance)
