"""Options of the trackers; this module imports none of their packages."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from attrs import frozen

from corenas import option


@frozen
class TensorboardConfig:
    """Options of ``tensorboard``."""

    folder: Path | None = option(
        None, "where runs have their folders; unset: in the run's own, below tracking"
    )


@frozen
class MlflowConfig:
    """Options of ``mlflow``."""

    address: str = option(
        "", "a database's or a server's URL; empty: a database in the run's folder, below tracking"
    )
    experiment: str = option("corenas", "the experiment that runs belong to")


@frozen
class WandbConfig:
    """Options of ``wandb``."""

    project: str = option("corenas", "the project that runs belong to")
    entity: str = option("", "whose project it is; empty: the user's own")
    mode: Literal["offline", "online"] = option(
        "offline", "whether anything leaves the machine before 'wandb sync'"
    )
