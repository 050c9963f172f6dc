"""What evaluators of candidate networks have in common: costs and their limit, reports, crops."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from torch import nn

from corenas import Chosen, Event, Rejected, Report, Stopped
from corenas.cost import Cost, human
from corenas.training.loop import Training
from corenas_sr.data.datasets import load_pairs
from corenas_sr.results.evaluation import Crops, build_metrics


def costs_of(cost: Cost) -> dict[str, float]:
    """Return costs under the names that they have among a candidate's metrics."""
    return {"mult_adds": cost.mult_adds, "params": cost.params}


def over_limit(costs: Mapping[str, float], limit: float | None) -> Rejected | None:
    """Return the refusal of a candidate with more mult-adds than the limit, where there is one."""
    if limit is None or costs["mult_adds"] <= limit:
        return None
    reason = f"{human(costs['mult_adds'])} mult-adds, the limit is {human(limit)}"
    return Rejected(reason, costs)


def reported(training: Training, report: Report) -> Iterator[Event]:
    """Train and tell the loss at each event, before it is handed on.

    Raises:
        Stopped: The answer was that it should stop.
        Diverged: The loss is not finite.
    """
    for event in training.events():
        if report(event.step, event.scalars["loss"]):
            raise Stopped(f"stopped at step {event.step}")
        yield event


def measure_on_crops(
    model: nn.Module,
    source: str,
    metrics: Sequence[Chosen],
    *,
    size: int,
    count: int,
    scale: int,
    device: str,
) -> dict[str, float]:
    """Return the mean of each metric over fixed crops of validation images.

    Args:
        model: A network on ``device``.
        source: The images; see `load_pairs`.
        metrics: What is measured.
        size: Side of a crop in low-resolution pixels.
        count: How many crops there are.
        scale: The up-scaling factor.
        device: Where the network computes.
    """
    pairs = load_pairs(source, scale=scale, split="validation")
    crops = Crops.spread(pairs, size=size, count=count, scale=scale)
    return crops.measure(model, build_metrics(metrics), scale=scale, device=device)
