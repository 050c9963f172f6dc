"""The comparison of discriminators: the generator after training against each of them."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from attrs import evolve, frozen

from corenas import Chosen, Run
from corenas.cost import human
from corenas.drawing.plots import Dot, dots_plot
from corenas.values.result import finite
from corenas_sr.data.datasets import ImagePair, load_pairs
from corenas_sr.models.files import LoadedModel, load_model
from corenas_sr.models.inference import bicubic, upscale
from corenas_sr.results.evaluation import Evaluation, build_metrics, evaluate
from corenas_sr.results.report import align_columns, crops_folder, draw_models, format_number
from corenas_tpsr.config import TpsrConfig
from corenas_tpsr.perceptual.full_task import Contender, final_metrics
from corenas_tpsr.perceptual.proxy import INFLUENCE

LEAST_INFLUENCE = 0.02
"""Share (0 to 1) of the gradient below which a discriminator has hardly a say."""

START = "before"
"""Row of the generator before the comparison's trainings, in tables and pictures."""


@frozen
class Finished:
    """A finished training of the comparison: its model file and its validation."""

    name: str
    file: Path
    values: Mapping[str, float | None]
    score: float

    @classmethod
    def of(
        cls,
        part: Mapping[str, Any],
        *,
        folder: Path,
        score: Callable[[Mapping[str, float]], float],
    ) -> Finished:
        """Read one entry of the sequence's result."""
        values = part["values"]["scalars"]
        file = folder / part["files"]["model"]
        return cls(part["name"], file, values, score(values))

    @property
    def contender(self) -> str:
        """The discriminator's name."""
        return self.name.rpartition("-")[0]

    @property
    def location(self) -> str:
        """The model file as seen from the working directory."""
        return os.path.relpath(self.file)


def report(
    run: Run,
    config: TpsrConfig,
    against: Sequence[Contender],
    finished: Sequence[Finished],
    *,
    generator: Path,
) -> list[dict[str, Any]]:
    """Measure the best training of each contender on the test images; print and draw the numbers.

    All benchmarks are one set, in which each image weighs the same (section 4.3). Without
    benchmarks, the test images are the validation images.

    Returns:
        What the summary holds of each contender.
    """
    start = load_model(generator)
    pairs = _test_pairs(config, start.scale)
    best = _best_trainings(finished)
    models = {START: start} | {name: load_model(each.file) for name, each in best.items()}
    measured = {name: _measure(run, config, model, pairs) for name, model in models.items()}
    metrics = build_metrics(final_metrics(config))
    base = evaluate(lambda pair: bicubic(pair.lr, start.scale), pairs, metrics, scale=start.scale)
    rows = [
        _row(run, each, finished, best=best.get(each.name), test=measured.get(each.name))
        for each in against
    ]
    _print_table(run, config, rows, {"bicubic": base, START: measured[START]}, images=len(pairs))
    _remark_on_influence(run, rows)
    _plot(run, config, {"bicubic": base, **measured})
    picture = draw_models(
        run.images / "perceptual.png",
        {name: model for name, model in models.items() if name in (START, _winner_name(best))},
        pairs[0],
        {"bicubic": base, **measured},
        crops=crops_folder(run, "perceptual"),
        device=run.device,
    )
    run.say(f"picture: {picture}")
    return rows


def _best_trainings(finished: Sequence[Finished]) -> dict[str, Finished]:
    """Return each contender's best training by its validation."""
    best: dict[str, Finished] = {}
    for each in finished:
        if each.contender not in best or each.score > best[each.contender].score:
            best[each.contender] = each
    return best


def _winner_name(best: Mapping[str, Finished]) -> str:
    return max(best, key=lambda name: best[name].score)


def _test_pairs(config: TpsrConfig, scale: int) -> tuple[ImagePair, ...]:
    sources = config.data.benchmarks or (config.data.validation,)
    pairs = [
        pair for source in sources for pair in load_pairs(source, scale=scale, split="validation")
    ]
    # Results are kept by the image's name, and two benchmarks may share one.
    return tuple(evolve(pair, name=f"{n}. {pair.name}") for n, pair in enumerate(pairs, start=1))


def _measure(
    run: Run, config: TpsrConfig, model: LoadedModel, pairs: Sequence[ImagePair]
) -> Evaluation:
    return evaluate(
        lambda pair: upscale(model.module, pair.lr, scale=model.scale, device=run.device),
        pairs,
        build_metrics(final_metrics(config)),
        scale=model.scale,
    )


def _row(
    run: Run,
    contender: Contender,
    finished: Sequence[Finished],
    *,
    best: Finished | None,
    test: Evaluation | None,
) -> dict[str, Any]:
    trainings = {
        each.name: dict(each.values) for each in finished if each.contender == contender.name
    }
    return {
        "name": contender.name,
        **contender.to_json(),
        "trainings": trainings,
        "best": None if best is None else best.name,
        "influence": None if best is None else best.values.get(INFLUENCE.name),
        "file": None if best is None else str(best.file.relative_to(run.folder)),
        "test": None if test is None else finite(test.mean),
    }


def _print_table(
    run: Run,
    config: TpsrConfig,
    rows: Sequence[Mapping[str, Any]],
    references: Mapping[str, Evaluation],
    *,
    images: int,
) -> None:
    """Print the table: bicubic, the generator before, and the best training of each contender."""
    names = [metric.name for metric in final_metrics(config)]
    lines = [["discriminator", "params", "mult-adds", "influence", *names]]
    for name, evaluation in references.items():
        lines.append([name, "-", "-", "-", *(format_number(evaluation.mean[n]) for n in names)])
    for row in rows:
        values = row["test"] or dict.fromkeys(names)
        about = [human(row["params"]), human(row["mult_adds"]), _percent(row["influence"])]
        lines.append([row["name"], *about, *(format_number(values[n]) for n in names)])
    where = "images of the benchmarks" if config.data.benchmarks else "validation images"
    run.say(f"the generator after training against each, on {images} {where}:")
    for line in align_columns(lines):
        run.say(line)


def _percent(share: float | None) -> str:
    return "-" if share is None else f"{100 * share:.2g} %"


def _remark_on_influence(run: Run, rows: Sequence[Mapping[str, Any]]) -> None:
    """Say so where no discriminator had a say: the table then compares little but luck."""
    shares = [row["influence"] for row in rows if row["file"]]
    # Unknown is what was trained by an older version, or without an adversarial term.
    if shares and None not in shares and max(shares) < LEAST_INFLUENCE:
        run.say(
            f"warning: no discriminator had more than {_percent(max(shares))} of the generator's "
            "gradient, so which one judges makes little difference; "
            "--set perceptual.losses.adversarial=... (gamma) gives them more"
        )


def _plot(run: Run, config: TpsrConfig, measured: Mapping[str, Evaluation]) -> None:
    """Draw fidelity (the recipe's first metric) against perceptual quality."""
    perceptual, fidelity = config.perceptual.metric, config.metrics[0]
    # One metric on both axes would show a diagonal.
    if fidelity.name == perceptual.name:
        return
    dots_plot(
        run.images / "compare.png",
        [
            Dot(name, evaluation.mean[fidelity.name], evaluation.mean[perceptual.name])
            for name, evaluation in measured.items()
        ],
        x=axis(fidelity),
        y=axis(perceptual),
        title="What training against each discriminator made of the generator",
    )


def axis(metric: Chosen) -> str:
    """Return the label of a plot's axis."""
    higher = metric.component.metadata.sign > 0
    return f"{metric.name} ({'higher' if higher else 'lower'} is better)"
