"""Checks before a run begins: metrics, search, known networks and images."""

from __future__ import annotations

from collections.abc import Mapping

from corenas import ConfigError, CorenasError, Run, check_search
from corenas.supernets.one_shot import is_one_shot
from corenas_sr.data.preflight import check_data, check_run_data
from corenas_sr.models.named import Named, find_architecture
from corenas_sr.results.evaluation import build_metrics
from corenas_tiny.config import TinyConfig


def check_options(config: TinyConfig, *, run: Run | None = None) -> None:
    """Refuse options with which a run would fail after hours.

    Args:
        config: The options.
        run: Remembers the images, so that a resume finds out whether they are others.

    Raises:
        CorenasError: Metrics, search, known networks or images cannot be used.
    """
    build_metrics(config.metrics)
    find_baselines(config)
    _check_table(config)
    if is_one_shot(config.search.strategy):
        _check_one_shot(config, run)
    check_search("search", config.limited_search, data=config.data)
    patches = {config.scale: config.training.largest_patch}
    if run is None:
        check_data(config.data, patches=patches)
    else:
        check_run_data(run, config.data, patches=patches)


def _check_table(config: TinyConfig) -> None:
    """Refuse an evaluator that would take no notice of the latency table."""
    evaluator = config.limited_search.evaluator
    if config.latency_table is not None and evaluator.option("latency_table") is None:
        raise ConfigError(
            f"latency_table: search.evaluator is {evaluator.name!r}, which has no such option"
        )


def _check_one_shot(config: TinyConfig, run: Run | None) -> None:
    """Refuse limits on candidates that are trained, and on time, where a supernet is trained."""
    name = config.search.strategy.name
    for option in ("latency_limit", "latency_table"):
        if getattr(config, option) is not None:
            raise ConfigError(
                f"{option}: search.strategy is {name!r}, which times no candidate; leave the "
                "option away, or search by a strategy that samples, such as evolution"
            )
    if run is not None and run.stop.seconds is not None:
        phase = "training" if config.search.strategy.option("training") else "search"
        raise ConfigError(
            f"--max-time: a search that trains a supernet, as {name!r} does, has nothing to hand "
            "over before its end; leave the time limit away, and set how long it takes with "
            f"--set search.strategy.{phase}.steps=... and --set training.steps=..."
        )


def find_baselines(config: TinyConfig) -> Mapping[str, Named]:
    """Return the known networks that stand beside the one found.

    Raises:
        ConfigError: There is no such network, or none for this scale.
    """
    found = {}
    for name in config.baselines:
        try:
            found[name] = find_architecture(name, scale=config.scale)
        except CorenasError as error:
            raise ConfigError(f"baselines: {error}") from error
    return found
