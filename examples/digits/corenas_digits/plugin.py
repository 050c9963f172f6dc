"""The hooks: what this package adds to CoreNAS."""

from __future__ import annotations

from collections.abc import Iterable

from corenas import Component, Recipe, hookimpl
from corenas_digits.config import DigitsConfig, EvaluatorConfig, SpaceConfig


@hookimpl
def corenas_search_spaces() -> Iterable[Component]:
    return [
        Component(
            "digits-cnn",
            "corenas_digits.space:DigitsSpace",
            SpaceConfig,
            "small convolutional classifiers of 8x8 images",
        )
    ]


@hookimpl
def corenas_evaluators() -> Iterable[Component]:
    return [
        Component(
            "digits-accuracy",
            "corenas_digits.evaluator:DigitsEvaluator",
            EvaluatorConfig,
            "accuracy on the validation images after a short training",
        )
    ]


@hookimpl
def corenas_recipes() -> Iterable[Recipe]:
    return [
        Recipe(
            "digits",
            "corenas_digits.recipe:digits",
            DigitsConfig,
            "search a small classifier of handwritten digits, and train it",
            {"quick": {}, "thorough": {"search": {"steps": 300}}},
            check="corenas_digits.recipe:check",
        )
    ]
