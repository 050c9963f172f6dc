"""Common parts of evaluators: training and measuring a candidate, its costs, checks."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Protocol, runtime_checkable

from attrs import evolve
from torch import nn

from corenas import (
    LATENCY,
    MULT_ADDS,
    PARAMS,
    Architecture,
    Chosen,
    ConfigError,
    Event,
    IndependentJobs,
    Measurement,
    Outcome,
    Quantity,
    Rejected,
    Report,
    ResumeError,
    SearchSpace,
    Share,
    StagePlan,
    State,
    Stopped,
    Task,
    UnknownName,
    default_registry,
)
from corenas.cost import Cost, CostTable, human
from corenas.training.loop import Stoppable, train_share
from corenas.training.phases import PhasedTraining
from corenas.training.timing import seconds_of
from corenas_sr.config import CandidateConfig, DataConfig, PixelTrainingConfig
from corenas_sr.data.datasets import ImagePair, load_pairs
from corenas_sr.data.preflight import check_data
from corenas_sr.latency.estimating import Estimator
from corenas_sr.models.named import typical_network
from corenas_sr.results.evaluation import Crops, build_metrics
from corenas_sr.training.losses import pixel_loss
from corenas_sr.training.pixel import pixel_training
from corenas_sr.training.supervision import PatchSupervision
from corenas_sr.training.timing import time_training


@runtime_checkable
class CountedByParts(Protocol):
    """A space that adds up the costs of its networks' parts: building each would take longer."""

    def cost(self, architecture: Architecture, *, height: int, width: int) -> Cost:
        """Return a network's cost for one low-resolution image of this size."""


class CandidateEvaluator(IndependentJobs):
    """Base of evaluators of super-resolution networks; a subclass writes `prepare`.

    It measures on fixed crops of the validation images, counts costs for a stated output, and
    rejects candidates that cost too much.

    Args:
        config: The options.
        space: A space of super-resolution networks: its options have a ``scale``.
        data: The images.

    Raises:
        ConfigError: The space has no up-scaling factor, the latency table is not for it, or there
            is a limit and no table.
        DataError: The latency table cannot be read.
    """

    def __init__(self, config: CandidateConfig, space: SearchSpace, data: DataConfig) -> None:
        self._config = config
        self._space = space
        self._data = data
        self._scale = _scale(space)
        self._costs = CostTable()
        table = config.latency_table
        if config.latency_limit is not None and table is None:
            raise ConfigError(
                "latency_limit: needs latency_table, because candidates are timed only after they "
                "were trained; the objective 'constraint' limits what is timed"
            )
        self._latency = None if table is None else Estimator.read(table, space)

    @property
    def measures(self) -> Mapping[str, Quantity]:
        config = self._config
        where = crops_note(config.crops, config.crop_size)
        metrics = quantities_of(config.metrics, self._scale, where)
        quantities = [*metrics, *cost_quantities(config.output)]
        if self._latency is not None:
            quantities.append(evolve(LATENCY, protocol=self._latency.table.protocol))
        elif config.latency is not None:
            width, height = config.latency
            where = f"input of {width}x{height}, {config.latency_engine.name}, where it was trained"
            quantities.append(evolve(LATENCY, protocol=where))
        return {each.name: each for each in quantities}

    def check(self) -> None:
        """Build the metrics and the engine of latencies, and look at all images.

        Raises:
            CorenasError: Weights of a metric are missing, images cannot be used, or nothing is
                timed by the engine.
        """
        build_metrics(self._config.metrics)
        if self._config.latency is not None:
            self._config.latency_engine.build()
        elif self._config.latency_engine != CandidateConfig().latency_engine:
            raise ConfigError("latency_engine: times nothing; set latency, or leave it away")
        check_data(self._data, patches={self._scale: self._config.training.largest_patch})

    def plan(self, device: str) -> StagePlan:
        """Time a few steps of a typical candidate, and its measurement on crops."""
        network, note = typical_network(self._space, self._scale)
        pairs = load_pairs(self._data.train, scale=self._scale, split="train")
        training = self._config.training
        seconds, memory = time_training(network, pairs, training, scale=self._scale, device=device)
        measuring = seconds_of(
            lambda: measure_candidate(
                network, self._config, self._data, scale=self._scale, device=device
            )
        )
        return StagePlan(
            "candidate", training.steps, seconds, 1, measuring, memory=memory, note=note
        )

    def supervision(self) -> PatchSupervision:
        """Return the ground truth and the loss of a candidate's training, in its first phase."""
        first = next(self._config.training.in_phases())
        return PatchSupervision(
            self.supervising_pairs,
            pixel_loss(first.loss, fft_weight=first.fft_weight),
            scale=self._scale,
            patch=first.patch,
            batch=first.batch,
            output=self._config.output,
        )

    def supervising_pairs(self, device: str) -> Sequence[ImagePair]:
        """Return the images that a supernet learns from; the device is for a teacher."""
        return load_pairs(self._data.train, scale=self._scale, split="train")

    def advice(self, name: str) -> str:
        """Return the option that has an image metric, or the latency, measured as well."""
        if name == LATENCY.name:
            return "evaluator.latency=[320,180]"
        return metric_advice(name, self._config.metrics)

    def state(self) -> State:
        """Return which latency table there is, if any."""
        return {} if self._latency is None else {"latency_table": self._latency.table.digest}

    def restore(self, state: State) -> None:
        """Compare the latency table with that of before.

        Raises:
            ResumeError: It is another one.
        """
        before = state.get("latency_table")
        if self._latency is not None and before not in (None, self._latency.table.digest):
            raise ResumeError(
                f"latency_table: {self._config.latency_table}: not the latency table that the "
                "search began with; put that one back, or begin a new run"
            )

    def measure(self, architecture: Architecture, outcome: Outcome) -> Measurement:
        return Measurement({**outcome.metrics, **self.costs(architecture)}, outcome.seconds)

    def costs(self, architecture: Architecture) -> dict[str, float]:
        """Return what a candidate costs at the stated output, and its latency where it is known."""
        costs = costs_of(self._count(architecture))
        if self._latency is not None:
            costs[LATENCY.name] = self._latency.estimate(architecture)
        return costs

    def _count(self, architecture: Architecture) -> Cost:
        width, height = (side // self._scale for side in self._config.output)
        if isinstance(self._space, CountedByParts):
            return self._space.cost(architecture, height=height, width=width)
        return self._costs.cost(
            architecture, (1, 3, height, width), lambda: self._space.build(architecture)
        )

    def reject_costly(self, architecture: Architecture) -> Rejected | None:
        """Return the rejection of a candidate that costs too much, None for the others."""
        config = self._config
        return over_limit(
            self.costs(architecture),
            mult_adds=config.mult_adds_limit,
            params=config.params_limit,
            latency=config.latency_limit,
        )


def quantities_of(metrics: Sequence[Chosen], scale: int, where: str) -> list[Quantity]:
    """Describe image metrics as the numbers of an evaluator.

    Args:
        metrics: The metrics.
        scale: The up-scaling factor, from which protocols take their shave.
        where: The images that are measured, for the protocol.
    """
    infos = ((each.name, each.component.metadata) for each in metrics)
    return [
        evolve(info.quantity(name), protocol=f"{info.protocol_at(scale)}; {where}")
        for name, info in infos
    ]


def crops_note(count: int, side: int) -> str:
    """Return the part of a protocol that names the crops."""
    return f"{count} fixed crops of {side}x{side} low-resolution pixels"


def cost_quantities(output: tuple[int, int]) -> tuple[Quantity, Quantity]:
    """Describe the costs of a network for an output of this width and height."""
    width, height = output
    return evolve(MULT_ADDS, protocol=f"output of {width}x{height}"), PARAMS


def metric_advice(name: str, metrics: Sequence[Chosen], option: str = "evaluator.metrics") -> str:
    """Return the assignment that adds a metric to an option; empty if there is no such metric."""
    try:
        default_registry().component("metrics", name)
    except UnknownName:
        return ""
    names = ", ".join(f'"{each}"' for each in (*(metric.name for metric in metrics), name))
    return f"{option}=[{names}]"


def _scale(space: SearchSpace) -> int:
    scale = getattr(getattr(space, "config", None), "scale", None)
    if not isinstance(scale, int):
        raise ConfigError(
            f"the space {space.name!r} has no option 'scale'; allowed are only spaces of "
            "super-resolution networks"
        )
    return scale


def costs_of(cost: Cost) -> dict[str, float]:
    """Return costs by the names that they have in a measurement."""
    return {"mult_adds": cost.mult_adds, "params": cost.params}


def over_limit(
    costs: Mapping[str, float],
    *,
    mult_adds: float | None,
    params: float | None = None,
    latency: float | None = None,
) -> Rejected | None:
    """Return the rejection of a candidate that costs more than one of the limits."""
    limits = (
        ("mult_adds", mult_adds, human, " mult-adds"),
        ("params", params, human, " parameters"),
        (LATENCY.name, latency, _in_milliseconds, ""),
    )
    for name, limit, write, unit in limits:
        # A candidate of exactly the limit is allowed, as Algorithm 1 rejects those above f.
        if limit is not None and costs[name] > limit:
            return Rejected(f"{write(costs[name])}{unit}, the limit is {write(limit)}", costs)
    return None


def _in_milliseconds(seconds: float) -> str:
    return f"{1e3 * seconds:.4g} ms"


def load_images(data: DataConfig, scale: int) -> None:
    """Load the images of a job, which later jobs in the same process find loaded."""
    load_pairs(data.train, scale=scale, split="train")
    load_pairs(data.validation, scale=scale, split="validation")


def candidate_training(
    model: nn.Module,
    config: PixelTrainingConfig,
    data: DataConfig,
    *,
    scale: int,
    seed: int,
    device: str,
) -> PhasedTraining:
    """Return the training of a candidate against the ground truth.

    Args:
        model: The candidate, with the weights that it starts from.
        config: Steps, patches and learning rate.
        data: The images.
        scale: The up-scaling factor.
        seed: Decides the patches.
        device: Where to train.
    """
    return pixel_training(
        model,
        load_pairs(data.train, scale=scale, split="train"),
        config,
        scale=scale,
        seed=seed,
        device=device,
    )


def report_events(training: Task, report: Report) -> Iterator[Event]:
    """Train; report the loss of each event, then yield it.

    Raises:
        Stopped: The report's answer was to stop.
        Diverged: The loss is not finite.
    """
    return _report(training.events(), report)


def report_share(training: Stoppable, share: Share, report: Report) -> Iterator[Event]:
    """Train to a share, from what an earlier job left if there is any; else as `report_events`."""
    return _report(train_share(training, share), report)


def _report(events: Iterator[Event], report: Report) -> Iterator[Event]:
    for event in events:
        if report(event.step, event.scalars["loss"]):
            raise Stopped(f"stopped at step {event.step}")
        yield event


def fixed_crops(data: DataConfig, *, size: int, count: int, scale: int) -> Crops:
    """Return the crops of the validation images that candidates are measured on.

    Whole images would cost as much as thousands of training steps for each candidate.

    Args:
        data: The images.
        size: Side of a crop in low-resolution pixels.
        count: How many crops there are.
        scale: The up-scaling factor.
    """
    pairs = load_pairs(data.validation, scale=scale, split="validation")
    return Crops.spread(pairs, size=size, count=count, scale=scale)


def measure_candidate(
    model: nn.Module, config: CandidateConfig, data: DataConfig, *, scale: int, device: str
) -> dict[str, float]:
    """Return the mean of each metric over the fixed crops.

    Args:
        model: A network on ``device``.
        config: Names the metrics and the crops.
        data: The images.
        scale: The up-scaling factor.
        device: Where the network computes.
    """
    crops = fixed_crops(data, size=config.crop_size, count=config.crops, scale=scale)
    return crops.measure(model, build_metrics(config.metrics), scale=scale, device=device)
