"""Options of the trilevel search (no torch here)."""

from __future__ import annotations

from typing import Literal, get_args

from attrs import frozen

from corenas.errors import ConfigError
from corenas.options.structuring import option, section
from corenas_sr.features.config import Distance, FeaturesConfig
from corenas_trilevel.teacher.config import TeacherConfig

Normalizer = Literal["sparsestmax", "sparsemax", "softmax"]


@frozen
class PhaseConfig:
    """Options of a phase of the search: steps, batches, learning rate and loss."""

    steps: int = option(57_500, "steps", paper="57500, 100 epochs of 575", ge=1)
    batch: int = option(3, "patches in a batch", paper="3", ge=1)
    patch: int = option(32, "side of a patch", unit="low-resolution pixels", paper="32", ge=4)
    learning_rate: float = option(1e-4, "step size of Adam for the weights", paper="1e-4", gt=0)
    milestones: tuple[float, ...] = option(
        (0.25, 0.5, 0.75),
        "parts of the phase after which that step size is halved",
        paper="epochs 25, 50, 75 of 100",
        gt=0,
        lt=1,
    )
    pixel: float = option(
        1.0, "weight of L1 between images in [0, 1]", paper="1; in the visual search 0.01", ge=0
    )
    perceptual: float = option(
        0.0, "weight of the distance between features", paper="0; in the visual search 1", ge=0
    )
    report_every: int = option(100, "steps from one event to the next", ge=1)
    threads: int = option(
        1, "CPU threads; more than one pays only where nothing else wants the cores", ge=1
    )

    def __attrs_post_init__(self) -> None:
        if not self.pixel and not self.perceptual:
            raise ConfigError("perceptual: must be greater than 0 where pixel is 0, got 0")


@frozen
class PerceptualConfig(FeaturesConfig):
    """Options of the feature loss, with this paper's values as defaults."""

    layers: tuple[str, ...] = option(
        ("54",),
        "layers whose terms are summed: 12, 22, 34, 44, 54 of vgg19; conv1, fire2 to fire9",
        paper="54",
    )
    distance: Distance = option(
        "l1",
        "mean over all features of the squares or the sizes of differences",
        paper="l1",
        choices=get_args(Distance),
    )


@frozen
class ArchitectureConfig:
    """Options of the architecture: how its logits become weights, and how they learn."""

    learning_rate: float = option(3e-4, "step size of Adam for the logits", paper="3e-4", gt=0)
    betas: tuple[float, float] = option(
        (0.5, 0.999), "decay of that Adam's two averages", paper="0.5, 0.999", ge=0, lt=1
    )
    path: Normalizer = option(
        "sparsestmax", "what makes weights of the paths' logits", paper="sparsestmax"
    )
    operations: Normalizer = option(
        "sparsestmax", "what makes weights of the operations' logits", paper="sparsestmax"
    )
    widths: Literal["gumbel", "sparsestmax"] = option(
        "gumbel", "whether a width is drawn in each step, or widths are mixed", paper="gumbel"
    )
    temperature: float = option(1.0, "of the Gumbel-softmax that draws widths", paper="1", gt=0)
    center: Literal["simplex", "support"] = option(
        "simplex",
        "what sparsestmax keeps away from: the center of all options, or of those that sparsemax "
        "leaves, as the authors' code does",
    )
    initial: Literal["constant", "random"] = option(
        "constant", "the operations' logits at the start: all equal, or drawn", paper="uniform"
    )
    fixed_path: str | None = option(
        None,
        "path that is not searched, such as 0000011; unset: all three levels are",
        paper="0000011 in the bilevel ablation",
    )


@frozen
class OrderConfig:
    """Options of the ordering constraint, which makes paths end early (Eq. 2)."""

    mode: Literal["difference", "hinge", "off"] = option(
        "difference",
        "between a path and the next longer one: the logits' difference, as the authors' code "
        "has it, or what the longer one's weight exceeds the other's by",
    )
    weight: float = option(
        1e-5, "weight of its sum in the loss", paper="0, 0.01, 0.1; 1e-5 in the PSNR search", ge=0
    )


@frozen
class CostConfig:
    """Options of the cost term, which makes networks small."""

    weight: float = option(
        1e-20,  # at 1e11 mult-adds a term of 1e-9: the paper's search hardly sees costs
        "lambda: weight of a mult-add in the loss; 1e-13 makes 100 G weigh 0.01",
        paper="1e-20 in the authors' configuration, which is next to nothing",
        ge=0,
    )
    omega1: float = option(2 / 7, "share of the operations", paper="2/7", ge=0)
    omega2: float = option(5 / 7, "share of the widths", paper="5/7", ge=0)
    size: tuple[int, int] = option(
        (350, 510),
        "height and width of the input that costs are counted for",
        unit="low-resolution pixels",
        paper="350, 510",
        ge=1,
    )
    adaptive: bool = option(
        True, "halve lambda now and then if the network is below the bounds, double it if above"
    )
    lowest: float = option(
        100e9, "lower bound of its cost at that size", unit="mult-adds", paper="100e9", ge=0
    )
    highest: float = option(
        400e9, "upper bound of its cost at that size", unit="mult-adds", paper="400e9", ge=0
    )
    every: int = option(11_500, "steps from one look to the next", paper="20 epochs of 575", ge=1)

    def __attrs_post_init__(self) -> None:
        if self.lowest > self.highest:
            raise ConfigError(
                f"lowest: must be at most highest, {self.highest:g}, got {self.lowest:g}"
            )


@frozen
class TrilevelStrategyConfig:
    """Options of the strategy ``trilevel``."""

    teacher: TeacherConfig | None = option(
        None,
        "whose images the supernet learns to make; unset: the recipe's teacher, and without a "
        "recipe the ground truth",
    )
    pretrain: PhaseConfig = section(PhaseConfig, "weights alone, on half of the images")
    search: PhaseConfig = section(
        PhaseConfig, "weights on that half and the architecture on the other, in turn"
    )
    alternate: Literal["weights-first", "architecture-first"] = option(
        "weights-first",
        "whose turn is first in a step; the authors' code begins with the architecture",
        paper="weights first",
    )
    sandwich: bool = option(
        True,
        "sum the loss of the widest, the narrowest and drawn widths; false: of one draw alone",
        paper="true",
    )
    clip: float = option(5.0, "largest norm of the weights' gradient", paper="5", gt=0)
    architecture: ArchitectureConfig = section(ArchitectureConfig, "the three levels")
    order: OrderConfig = section(OrderConfig, "what a path pays for being longer")
    cost: CostConfig = section(CostConfig, "what the architecture pays for its mult-adds")
    features: PerceptualConfig | None = option(
        None,
        "what a perceptual loss compares; unset: what the recipe's losses do, and without a "
        "recipe the 54 of vgg19",
    )
