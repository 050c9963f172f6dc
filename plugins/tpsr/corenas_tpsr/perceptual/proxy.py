"""The proxy task of discriminators (Table 3 of Lee et al.): a short training against each."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from copy import deepcopy
from functools import lru_cache
from statistics import mean

from attrs import evolve, frozen
from torch import nn

from corenas import (
    MULT_ADDS,
    PARAMS,
    Architecture,
    Chosen,
    ConfigError,
    IndependentJobs,
    InputError,
    Job,
    Measurement,
    Outcome,
    Quantity,
    Rejected,
    Report,
    StagePlan,
)
from corenas.cost import human
from corenas.training.loop import Save, Score, Training, Validate
from corenas.training.networks import seeded
from corenas.training.timing import seconds_of
from corenas.values.seeds import derive_seed
from corenas_sr.config import DataConfig, PatchTrainingConfig
from corenas_sr.data.datasets import ImagePair, load_pairs
from corenas_sr.data.patches import PatchSampler
from corenas_sr.data.preflight import check_data
from corenas_sr.features.config import FeaturesConfig
from corenas_sr.models.files import load_model
from corenas_sr.results.evaluation import Crops, build_metrics
from corenas_sr.training.adversarial import AdversarialStep
from corenas_sr.training.candidates import (
    costs_of,
    crops_note,
    fixed_crops,
    load_images,
    metric_advice,
    quantities_of,
    report_events,
)
from corenas_sr.training.losses import (
    ADVERSARIAL,
    AdversarialLoss,
    FeatureLoss,
    feature_loss,
)
from corenas_sr.training.timing import time_step
from corenas_tpsr.discriminator.space import DiscriminatorSpace
from corenas_tpsr.perceptual.config import PROXY_LAYERS, AdversarialProxyConfig, PerceptualConfig

TYPICAL = ("conv3", "reduce-conv3")
"""Operation and reduction of the discriminator that dry runs time, if the space has them."""

DISCRIMINATOR_LOSS = Quantity(
    "discriminator_loss", "neither", summary="near zero, a discriminator is too strong to teach"
)

INFLUENCE = Quantity(
    "influence",
    "neither",
    protocol="norm of the adversarial term's gradient at the generated images, as a share of the "
    "sum of the three terms' norms; mean of the steps since the report before",
    summary="near zero, the generator learns the same whatever the discriminator says",
)

_UNSET = "tpsr-adversarial: {} is unset, and only the recipe tpsr fills it in"


@lru_cache(maxsize=2)
def features_of(config: FeaturesConfig) -> FeatureLoss:
    """Return the feature loss, kept in memory: VGG19's weights are half a gigabyte to read.

    Raises:
        MissingWeights: There are none; the message says where to get them.
        DataError: The file cannot be read, or the weights in it do not fit.
    """
    return feature_loss(config)


def adversarial_training(
    generator: nn.Module,
    discriminator: nn.Module,
    pairs: Sequence[ImagePair],
    config: PatchTrainingConfig,
    *,
    perceptual: PerceptualConfig,
    layers: tuple[str, ...],
    scale: int,
    seed: int,
    device: str,
    adversarial: AdversarialLoss | None = None,
    validate: Validate = lambda module: {},
    keep: Score | None = None,
    save: Save = lambda module, folder: {},
) -> Training:
    """Train a generator against a discriminator by the sum of three losses (Eq. 8).

    Args:
        generator: The network to be improved.
        discriminator: Judges patches of ``scale * config.patch`` pixels.
        pairs: Training images.
        config: Steps, patches and learning rate, the same for both networks.
        perceptual: The weights of the losses, and the network of the feature loss.
        layers: Layers of the feature loss.
        scale: The generator's up-scaling factor.
        seed: Decides the patches.
        device: Where to train.
        adversarial: That of the perceptual options by default.
        validate: Measures the generator.
        keep: Scores each validation; the result is the generator that scored highest, by default
            the last one.
        save: Writes the generator.
    """
    step = adversarial_step(
        generator,
        discriminator,
        config,
        perceptual=perceptual,
        layers=layers,
        device=device,
        adversarial=adversarial,
    )
    stream = PatchSampler(
        pairs, scale=scale, patch=config.patch, batch=config.batch, seed=seed, device=device
    )
    return Training.of(config, step, (stream,), validate=validate, keep=keep, save=save)


def adversarial_step(
    generator: nn.Module,
    discriminator: nn.Module,
    config: PatchTrainingConfig,
    *,
    perceptual: PerceptualConfig,
    layers: tuple[str, ...],
    device: str,
    adversarial: AdversarialLoss | None = None,
) -> AdversarialStep:
    """Return what `adversarial_training` does in one step."""
    return AdversarialStep(
        generator,
        discriminator,
        features=features_of(perceptual.features(layers)),
        adversarial=adversarial or ADVERSARIAL[perceptual.adversarial](),
        weights=perceptual.weights_of_losses,
        learning_rate=config.learning_rate,
        device=device,
        r1=perceptual.r1,
        balance=perceptual.balance,
        ema=perceptual.ema,
    )


@frozen
class AdversarialJob:
    """Improves the generator against one candidate and measures it on fixed crops.

    The generator travels with the job: its file is where the run is, and the job may not be.
    """

    config: AdversarialProxyConfig
    generator: nn.Module
    scale: int
    perceptual: PerceptualConfig
    space: DiscriminatorSpace
    architecture: Architecture
    data: DataConfig
    seed: int

    def get_ready(self, device: str) -> None:
        """Load the images before the job's time counts."""
        load_images(self.data, self.scale)

    def run(self, device: str, report: Report) -> Outcome:
        started = time.perf_counter()
        found = [self._train(number, device, report) for number in range(self.config.trainings)]
        means = {name: mean(each[name] for each in found) for name in found[0]}
        return Outcome(means, time.perf_counter() - started)

    def _train(self, number: int, device: str, report: Report) -> dict[str, float]:
        """Return what counts of one training: its best measurement, or the mean of them."""
        training = self._training(number, deepcopy(self.generator), device)
        metrics = build_metrics(measured(self.config, self.perceptual))
        crops = _crops(self.config, self.data, self.scale)
        measurements: list[dict[str, float]] = []
        due = self._measurement_steps()
        before = number * self.config.training.steps

        def report_on(step: int, value: float) -> bool:
            return report(before + step, value)

        for event in report_events(training, report_on):
            if event.step >= due[0]:
                # A step that is due may lie between two reports; the first report after it counts.
                due = [step for step in due if step > event.step] or [event.total + 1]
                improved = training.deliverable()
                values = crops.measure(improved, metrics, scale=self.scale, device=device)
                values[DISCRIMINATOR_LOSS.name] = event.scalars["discriminator"]
                if INFLUENCE.name in event.scalars:
                    values[INFLUENCE.name] = event.scalars[INFLUENCE.name]
                measurements.append(values)
        return self._condense(measurements)

    def _training(self, number: int, generator: nn.Module, device: str) -> Training:
        # The first training's seeds have no number.
        which = () if number == 0 else (str(number),)
        with seeded(derive_seed(self.seed, "weights", *which)):
            discriminator = self.space.build(self.architecture)
        config = self.config.training
        patches = self.seed if self.config.patches is None else self.config.patches
        # Measuring is possible only where the training reports.
        every = min(config.report_every, self.config.evaluate_every)
        return adversarial_training(
            generator,
            discriminator,
            load_pairs(self.data.train, scale=self.scale, split="train"),
            evolve(config, report_every=every),
            perceptual=self.perceptual,
            layers=proxy_layers(self.config.layers, self.perceptual),
            scale=self.scale,
            seed=derive_seed(patches, "patches", *which),
            device=device,
        )

    def _measurement_steps(self) -> list[int]:
        """Return the steps after which the generator is measured, ascending (section 3.3)."""
        last, every = self.config.training.steps, self.config.evaluate_every
        return [last - every * back for back in reversed(range(self.config.evaluations))]

    def _condense(self, measurements: Sequence[dict[str, float]]) -> dict[str, float]:
        """Return the means, or the best measurement by the perceptual metric with all its numbers.

        PSNR beside the best one is then of the same moment. Of equals the first counts.
        """
        if self.config.counts == "mean":
            return {name: mean(each[name] for each in measurements) for name in measurements[0]}
        name, sign = self.perceptual.metric.name, self.perceptual.metric.component.metadata.sign
        return max(measurements, key=lambda each: sign * each[name])


def measured(config: AdversarialProxyConfig, perceptual: PerceptualConfig) -> list[Chosen]:
    """Return a candidate's metrics: the perceptual one first, which is the default objective."""
    others = [metric for metric in config.metrics if metric.name != perceptual.metric.name]
    return [perceptual.metric, *others]


def proxy_layers(layers: tuple[str, ...], perceptual: PerceptualConfig) -> tuple[str, ...]:
    """Return the layers of the proxy task's feature loss, by default those of the network."""
    return layers or PROXY_LAYERS[perceptual.network]


class AdversarialEvaluator(IndependentJobs):
    """E(s) of a discriminator: how good images look after training against it.

    Every candidate starts from the same generator and a fresh discriminator. Weights are not
    shared, and costs have no limit (Lee et al., section 3.3).

    Raises:
        ConfigError: The perceptual options are unset, or the discriminators cannot take patches of
            this size.
        DataError: The generator's file cannot be used.
    """

    def __init__(
        self, config: AdversarialProxyConfig, space: DiscriminatorSpace, data: DataConfig
    ) -> None:
        if config.perceptual is None:
            raise ConfigError(_UNSET.format("perceptual"))
        self._config = config
        self._perceptual = config.perceptual
        self._start = None if config.generator is None else load_model(config.generator)
        # Unset, it will be the recipe's own generator, which is trained first and is one of x4.
        self._scale = 4 if self._start is None else self._start.scale
        self._space = _at_patch(space, config.training.patch, self._scale)
        self._data = data

    @property
    def measures(self) -> Mapping[str, Quantity]:
        metrics = measured(self._config, self._perceptual)
        where = crops_note(self._config.crops, self._config.crop_size)
        patch = evolve(MULT_ADDS, protocol="the discriminator, for one patch")
        judged = [DISCRIMINATOR_LOSS]
        if self._perceptual.losses.adversarial:
            judged.append(INFLUENCE)
        numbers = [*quantities_of(metrics, self._scale, where), *judged, patch, PARAMS]
        return {each.name: each for each in numbers}

    def check(self) -> None:
        """Build metrics and feature loss, and look at all images.

        Raises:
            CorenasError: Weights are missing, or images cannot be used.
        """
        build_metrics(measured(self._config, self._perceptual))
        features_of(self._perceptual.features(self._layers))
        check_data(self._data, patches={self._scale: self._config.training.patch})

    @property
    def _layers(self) -> tuple[str, ...]:
        return proxy_layers(self._config.layers, self._perceptual)

    def plan(self, device: str) -> StagePlan:
        """Time a few steps against a typical discriminator, and a measurement."""
        generator = deepcopy(self._generator())
        architecture = typical_discriminator(self._space)
        step = adversarial_step(
            generator,
            self._space.build(architecture),
            self._config.training,
            perceptual=self._perceptual,
            layers=self._layers,
            device=device,
        )
        training, scale = self._config.training, self._scale
        pairs = load_pairs(self._data.train, scale=scale, split="train")
        seconds, memory = time_step(step, pairs, training, scale=scale, device=device)
        metrics = build_metrics(measured(self._config, self._perceptual))
        crops = _crops(self._config, self._data, scale)
        measuring = seconds_of(
            lambda: crops.measure(generator, metrics, scale=scale, device=device)
        )
        mult_adds = human(self._space.cost(architecture).mult_adds)
        return StagePlan(
            "candidate",
            self._config.trainings * training.steps,
            seconds,
            extra_seconds=self._config.trainings * self._config.evaluations * measuring,
            memory=memory,
            note=f"timed with a discriminator of {mult_adds} mult-adds",
        )

    def advice(self, name: str) -> str:
        """Return the option that has another metric measured."""
        return metric_advice(name, self._config.metrics)

    def _generator(self) -> nn.Module:
        """Return the generator that all candidates start from: each takes a copy."""
        if self._start is None:
            raise ConfigError(_UNSET.format("generator"))
        return self._start.module

    def prepare(self, architecture: Architecture, *, number: int, seed: int) -> Job | Rejected:
        return AdversarialJob(
            self._config,
            self._generator(),
            self._scale,
            self._perceptual,
            self._space,
            architecture,
            self._data,
            seed,
        )

    def measure(self, architecture: Architecture, outcome: Outcome) -> Measurement:
        costs = costs_of(self._space.cost(architecture))
        return Measurement({**outcome.metrics, **costs}, outcome.seconds)


def typical_discriminator(space: DiscriminatorSpace) -> Architecture:
    """Return the architecture that dry runs time, as nothing is found yet."""
    choices = {
        d.name: next((name for name in TYPICAL if name in d.options), d.options[0])
        for d in space.decisions
    }
    return Architecture(space.name, choices)


def _at_patch(space: DiscriminatorSpace, patch: int, scale: int) -> DiscriminatorSpace:
    """Return the same space for patches of a side given in low-resolution pixels."""
    try:
        return space.at_patch(scale * patch)
    except InputError as error:
        raise ConfigError(
            f"training.patch: {patch} low-resolution pixels are {scale * patch} at scale {scale}, "
            f"which its discriminators cannot take: {error}"
        ) from error


def _crops(config: AdversarialProxyConfig, data: DataConfig, scale: int) -> Crops:
    return fixed_crops(data, size=config.crop_size, count=config.crops, scale=scale)
