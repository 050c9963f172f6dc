"""Searches give the numbers that they gave before their parts served other spaces as well.

`RECORDED` was written by ``python tests/trilevel/search/test_recorded.py`` with version 0.2's own
strategy, before the general one was written; it is not to be written anew for a change of code.
"""

import json
import sys
from pathlib import Path

import pytest
from attrs import evolve

from corenas import structure
from corenas.testing.surrogate import surrogate_problem
from corenas_sr.config import DataConfig
from corenas_trilevel._presets import PRESETS
from corenas_trilevel.config import TrilevelConfig

RECORDED = Path(__file__).parent / "data" / "recorded.json"

PHASE = {"batch": 2, "patch": 6, "report_every": 1, "learning_rate": 5e-3}
SMALL = {
    "teacher": {"source": "ground-truth"},
    "features": {"network": "random-features", "layers": ["conv1"]},
    "search": {
        "space": {"cells": 3, "searched_cells": 2, "widths": [2, 3, 4], "features": 4},
        "strategy": {
            "pretrain": {**PHASE, "steps": 2},
            "search": {**PHASE, "steps": 3},
            "architecture": {"learning_rate": 0.05},
        },
    },
}
OTHERWISE = {
    "search": {
        "strategy": {
            "alternate": "architecture-first",
            "order": {"mode": "hinge", "weight": 0.1},
            "cost": {"weight": 1e-9, "every": 1},
            "architecture": {"center": "support", "initial": "random", "widths": "sparsestmax"},
        }
    }
}
NAMES = ("quick", "psnr-b", "visual-a", "ablation-softmax", "ablation-bilevel")
CASES = {
    **{name: (PRESETS[name], {}) for name in NAMES},
    "everything else": (PRESETS["psnr-b"], OTHERWISE),
}


def recorded(name):
    """Return the scalars of each event of a small variant of a preset, and what is chosen."""
    preset, changes = CASES[name]
    small = SMALL
    if name == "ablation-bilevel":
        small = {**SMALL, "search": {**SMALL["search"], "space": {"widths": [2, 4], "features": 4}}}
    config = structure(TrilevelConfig, preset, small, changes).taught_search
    problem = evolve(surrogate_problem(1), space=config.space.build(), data=DataConfig(), seed=11)
    task = config.strategy.build().search(problem)
    events = list(task.events())
    return {
        "scalars": [dict(event.scalars) for event in events],
        "chosen": problem.space.format(events[-1].architecture),
    }


@pytest.mark.slow
@pytest.mark.parametrize("name", CASES)
def test_small_searches_have_the_recorded_scalars(name):
    expected, found = json.loads(RECORDED.read_text())[name], recorded(name)
    assert found["chosen"] == expected["chosen"]
    assert len(found["scalars"]) == len(expected["scalars"])
    for ours, theirs in zip(found["scalars"], expected["scalars"], strict=True):
        assert ours == pytest.approx(theirs, rel=1e-6, abs=1e-6)


if __name__ == "__main__":
    lines = (f"{json.dumps(name)}: {json.dumps(recorded(name))}" for name in CASES)
    RECORDED.write_text("{\n" + ",\n".join(lines) + "\n}\n")
    sys.exit()
