"""A command."""

from __future__ import annotations

from typing import Annotated

import typer

from corenas_sample.config import CurveData


def curve(
    terms: Annotated[str, typer.Argument(help="A sum such as '1 + sin + square'.")],
    points: Annotated[int, typer.Option(min=2, help="Samples of the curve.")] = 50,
) -> None:
    """Fit one curve and print its error."""
    from corenas_sample.evaluator import FitJob
    from corenas_sample.space import CurveSpace

    space = CurveSpace()
    job = FitJob(space.names(space.parse(terms)), CurveData(points=points), seed=0)
    outcome = job.run("cpu", lambda step, value: False)
    typer.echo(f"{terms}: {outcome.metrics['error']:.4f}")
