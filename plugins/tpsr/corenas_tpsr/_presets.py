"""Presets of the recipe ``tpsr``: their changes to the defaults, which are the paper's values."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

# By the paper's 0.01 and 0.005 a discriminator has less than a fiftieth of the gradient in the
# first hundred steps, and which one judges makes no difference that a short search could find.
_LOSSES: Mapping[str, Any] = {"pixel": 0.1, "adversarial": 0.1}

# Luck with patches is then the same for all candidates.
_SAME_PATCHES: Mapping[str, Any] = {"patches": 0, "counts": "mean"}

QUICK: Mapping[str, Any] = {
    "search": {
        "steps": 30,
        "evaluator": {
            # At the paper's 1e-4 a minute's training stays below bicubic.
            "training": {
                "steps": 200,
                "batch": 8,
                "patch": 24,
                "learning_rate": 3e-3,
                "schedule": "cosine",
                "report_every": 50,
            },
            "crops": 12,
        },
    },
    "x2": {
        "steps": 3600,
        "batch": 8,
        "patch": 24,
        "learning_rate": 3e-3,
        "schedule": "cosine",
        "validate_every": 1200,
    },
    "x4": {
        "steps": 2000,
        "batch": 8,
        "patch": 24,
        "learning_rate": 2e-3,
        "schedule": "cosine",
        "validate_every": 1000,
    },
    # A first run must reach its end on a machine that has no ImageNet weights.
    "perceptual": {"missing": "st-lpips", "losses": _LOSSES},
    "discriminator": {
        "steps": 8,
        "evaluator": {
            "training": {"steps": 30, "batch": 4, "patch": 16, "report_every": 10},
            "evaluate_every": 10,
            "crops": 6,
            **_SAME_PATCHES,
        },
    },
    "compare": {
        "count": 1,
        "baselines": ["srgan", "random"],
        "trainings": 1,
        "training": {
            "steps": 60,
            "batch": 4,
            "patch": 16,
            "schedule": "constant",
            "milestones": [],
            "validate_every": 30,
            "report_every": 10,
        },
    },
}

STANDARD: Mapping[str, Any] = {
    "search": {
        "steps": 500,
        "evaluator": {
            "training": {
                "steps": 1000,
                "batch": 32,
                "patch": 24,
                "learning_rate": 1e-3,
                "schedule": "cosine",
            },
        },
    },
    "fresh": {"count": 5},
    "x2": {
        "steps": 60_000,
        "patch": 48,
        "learning_rate": 1e-3,
        "schedule": "cosine",
        "validate_every": 5000,
    },
    "x4": {
        "steps": 60_000,
        "patch": 48,
        "learning_rate": 5e-4,
        "schedule": "cosine",
        "validate_every": 5000,
    },
    "perceptual": {"losses": _LOSSES},
    "discriminator": {
        "steps": 50,
        "evaluator": {
            "training": {"steps": 2000, "batch": 16},
            "evaluate_every": 200,
            **_SAME_PATCHES,
        },
    },
    "compare": {
        "trainings": 1,
        "training": {
            "steps": 20_000,
            "patch": 24,
            "schedule": "cosine",
            "milestones": [],
            "validate_every": 2000,
        },
    },
}

PAPER: Mapping[str, Any] = {"fresh": {"pick": "warm"}}

PRESETS: Mapping[str, Mapping[str, Any]] = {"quick": QUICK, "standard": STANDARD, "paper": PAPER}
