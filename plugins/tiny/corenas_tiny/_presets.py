"""Presets of the recipe ``tiny``: their changes to the defaults."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

QUICK: Mapping[str, Any] = {
    "search": {
        "steps": 12,
        "strategy": {"use": "evolution", "population": 8, "tournament": 4, "known": True},
        "evaluator": {"training": {"steps": 150, "report_every": 50}, "crops": 12},
    },
    "finalists": {"count": 2, "longer": 2.0},
    "training": {
        "steps": 4400,
        "warmup": 300,
        "validate_every": 2200,
        "phases": [],
    },
    "baselines": [],
}
"""A first run, on the bundled photographs: a few minutes on two cores."""

STANDARD: Mapping[str, Any] = {}
"""A folder of images, and a night on a CPU or an hour on a GPU."""

BEST: Mapping[str, Any] = {
    "search": {
        "steps": 1000,
        "strategy": {"sampler": {"population": 100, "tournament": 25}},
        "evaluator": {
            "training": {
                "steps": 20_000,
                "batch": 32,
                "patch": 48,
                "learning_rate": 2e-3,
                "warmup": 200,
                "ema": 0.999,
            }
        },
    },
    "finalists": {"count": 16, "longer": 5.0},
    "training": {
        "steps": 1_000_000,
        "batch": 64,
        "patch": 64,
        "learning_rate": 2e-3,
        "warmup": 2000,
        "ema": 0.9995,
        "loss": "l1-fft",
        "reparameterise": True,
        "phases": [{"share": 0.2, "loss": "l2", "patch": 96, "learning_rate": 1e-4}],
    },
}
"""DIV2K and days on a GPU: steps and batches as of the networks that the literature compares."""

PRESETS: Mapping[str, Mapping[str, Any]] = {"quick": QUICK, "standard": STANDARD, "best": BEST}
