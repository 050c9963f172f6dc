"""The hooks: strategies that need Optuna, and the tracker that writes into its storages."""

from __future__ import annotations

from collections.abc import Iterable

from corenas.plugins.hookspecs import Component, hookimpl
from corenas.plugins.needs import Needs
from corenas_optuna.config import (
    GeneticConfig,
    GpConfig,
    ReferenceConfig,
    StorageConfig,
    TpeConfig,
)

OPTUNA = Needs("corenas[optuna]", ("optuna",))
OPTUNA_AND_SCIPY = Needs("corenas[optuna]", ("optuna", "scipy"))


@hookimpl
def corenas_strategies() -> Iterable[Component]:
    return (
        Component(
            "tpe",
            "corenas_optuna.strategy:tpe",
            TpeConfig,
            "Optuna's tree-structured Parzen estimator (Bergstra et al., NeurIPS 2011)",
            needs=OPTUNA,
        ),
        Component(
            "gp",
            "corenas_optuna.strategy:gp",
            GpConfig,
            "Optuna's Gaussian process with expected improvement; for up to a few hundred trials",
            needs=OPTUNA_AND_SCIPY,
        ),
        Component(
            "nsga2",
            "corenas_optuna.strategy:nsga2",
            GeneticConfig,
            "Optuna's NSGA-II (Deb et al., 2002), for one quantity or several",
            needs=OPTUNA,
        ),
        Component(
            "nsga3",
            "corenas_optuna.strategy:nsga3",
            ReferenceConfig,
            "Optuna's NSGA-III (Deb and Jain, 2014), for three quantities or more",
            needs=OPTUNA,
        ),
    )


@hookimpl
def corenas_trackers() -> Iterable[Component]:
    return (
        Component(
            "optuna-storage",
            "corenas_optuna.storage:StorageTracker",
            StorageConfig,
            "trials in a storage of Optuna, for optuna-dashboard",
            needs=OPTUNA,
        ),
    )
