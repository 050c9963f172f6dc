"""The hooks: three trackers, each of which needs its package."""

from __future__ import annotations

from collections.abc import Iterable

from corenas import Component, hookimpl
from corenas.plugins.needs import Needs
from corenas_trackers.config import MlflowConfig, TensorboardConfig, WandbConfig


@hookimpl
def corenas_trackers() -> Iterable[Component]:
    """Offer the trackers."""
    return (
        Component(
            "tensorboard",
            "corenas_trackers.tensorboard:TensorboardTracker",
            TensorboardConfig,
            "event files for TensorBoard",
            needs=Needs("corenas[tensorboard]", ("tensorboard",)),
        ),
        Component(
            "mlflow",
            "corenas_trackers.mlflow:MlflowTracker",
            MlflowConfig,
            "a run in a database or on a server of MLflow",
            needs=Needs("corenas[mlflow]", ("mlflow", "sqlalchemy", "alembic")),
        ),
        Component(
            "wandb",
            "corenas_trackers.wandb:WandbTracker",
            WandbConfig,
            "a run of Weights & Biases, offline unless asked otherwise",
            needs=Needs("corenas[wandb]", ("wandb",)),
        ),
    )
