"""Every strategy on every space: it searches, survives a kill and hands over, or is refused.

``python tests/oneshot/test_strategies_and_spaces.py`` writes docs/strategies-and-spaces.md.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from attrs import evolve, frozen

from corenas import ConfigError, Run, SearchConfig, SearchResult, Stop, check_search, structure
from corenas.runs import run as run_module
from corenas.show.reporter import Quiet

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "strategies-and-spaces.md"
TRAINING = {"steps": 2, "batch": 2, "patch": 6, "report_every": 1}
PHASE = {"steps": 2, "report_every": 1}
LEARNT = {"warmup": {**PHASE, "steps": 1}, "search": PHASE}


@frozen
class Space:
    """A space as small as its options let it be, and the evaluator of its candidates."""

    options: Mapping[str, Any]
    evaluator: Mapping[str, Any]
    input: tuple[int, ...]


SR = {"use": "sr-training", "training": TRAINING, "crops": 1, "crop_size": 16}
TREE = {"cells": 2, "searched_cells": 1, "widths": [2, 4], "features": 4}
SPACES = {
    "tpsr-generator": Space(
        {"nodes": 2, "channels": 4, "operations": ["conv1", "dsep3", "identity"]}, SR, (1, 3, 6, 6)
    ),
    "trilevel-a": Space({**TREE, "scale": 2}, SR, (1, 3, 6, 6)),
    "trilevel-b": Space({**TREE, "ups": 0, "scale": 2}, SR, (1, 3, 6, 6)),
    "tiny": Space(
        {"scale": 2, "blocks": 2, "widths": [4, 8], "operations": ["identity", "res3"]},
        SR,
        (1, 3, 6, 6),
    ),
    "digits-cnn": Space(
        {"most_blocks": 2},
        {"use": "digits-accuracy", "training": {"steps": 2, "batch": 4, "report_every": 1}},
        (2, 1, 8, 8),
    ),
    "tpsr-discriminator": Space(
        {"blocks": 1, "channels": 8, "patch": 32, "operations": ["conv1", "conv3"]},
        {
            "use": "tpsr-adversarial",
            "perceptual": {"network": "random-features", "metric": "psnr"},
            "layers": ["fire2"],
            "metrics": ["ssim"],
            "training": {"steps": 2, "batch": 2, "patch": 8, "report_every": 1},
            "evaluations": 1,
            "evaluate_every": 1,
            "crops": 1,
            "crop_size": 16,
        },
        (2, 3, 32, 32),
    ),
}
STRATEGIES: Mapping[str, Mapping[str, Any]] = {
    "random": {},
    "evolution": {"population": 2, "tournament": 2},
    "reinforce": {},
    "tpe": {"startup": 2},
    "nsga2": {"population": 2},
    "asha": {"sampler": "random", "eta": 2, "rungs": 2},
    "sparsestmax": LEARNT,
    "sparsemax": LEARNT,
    "darts": LEARNT,
    "gumbel": LEARNT,
    "single-path": {"training": PHASE, "candidates": 2, "batches": 1, "report_every": 1},
    "trilevel": {
        "pretrain": {"steps": 1, "batch": 1, "patch": 6, "report_every": 1},
        "search": {"steps": 2, "batch": 1, "patch": 6, "report_every": 1},
    },
}
ONE_SHOT = tuple(STRATEGIES)[6:-1]
KILLED_AFTER = {**dict.fromkeys(ONE_SHOT, 4), "trilevel": 4, "single-path": 5}
"""Events before the kill: the optimiser of the logits has a state by then, or the ranking."""


def no_supernet(strategy: str, space: str) -> str:
    return (
        f"space: the strategy '{strategy}' trains a supernet, and the space '{space}' offers none; "
        "strategies that sample, such as random, evolution and tpe, search every space"
    )


def no_levels(space: str) -> str:
    return (
        "space: the strategy 'trilevel' needs a supernet of path, operations and widths, as "
        f"trilevel-a and trilevel-b have it; '{space}' has none"
    )


REFUSED: Mapping[tuple[str, str], str] = {
    **{
        (strategy, "tpsr-discriminator"): no_supernet(strategy, "tpsr-discriminator")
        for strategy in ONE_SHOT
    },
    **{
        ("trilevel", space): no_levels(space)
        for space in SPACES
        if not space.startswith("trilevel")
    },
    ("asha", "tpsr-discriminator"): (
        "strategy: needs an evaluator that can train a candidate to a share of its training; "
        "AdversarialEvaluator only trains in full"
    ),
}
"""Why a combination is refused; all others search."""

CELLS = [(strategy, space) for strategy in STRATEGIES for space in SPACES]


@pytest.fixture(autouse=True, scope="module")
def _installed(install_project: Callable[[Path], None]) -> None:
    install_project(ROOT / "examples" / "digits")


@pytest.fixture(autouse=True)
def _saving_after_each_event(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run_module, "CHECKPOINT_SECONDS", 0.0)
    monkeypatch.setattr(run_module, "CHECKPOINT_SHARE", float("inf"))


@pytest.fixture(scope="module")
def generator(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model file at x4, which discriminators judge the training of."""
    from corenas import choose
    from corenas_sr.models.files import save_model

    chosen = choose("search_spaces", "tpsr-generator")
    chosen = evolve(chosen, config=evolve(chosen.config, scale=4, nodes=1, channels=4))
    space = chosen.build()
    architecture = space.parse([["conv3", 0]])
    file = tmp_path_factory.mktemp("generator") / "x4.safetensors"
    torch.manual_seed(0)
    network = space.build(architecture)
    save_model(file, network, space=chosen, architecture=architecture, scale=4)
    return file


@pytest.fixture(scope="module")
def searched(photographs: Path, generator: Path) -> Callable[[str, str], tuple[SearchConfig, Any]]:
    """Give the options of a search, and its data."""

    def options(strategy: str, space: str) -> tuple[SearchConfig, Any]:
        from corenas_digits.config import DataConfig as Digits
        from corenas_sr.config import DataConfig as Images

        small = SPACES[space]
        evaluator = dict(small.evaluator)
        if space == "tpsr-discriminator":
            evaluator["generator"] = str(generator)
        config = structure(
            SearchConfig,
            {
                "steps": 3,
                "space": {"use": space, **small.options},
                "strategy": {"use": strategy, **STRATEGIES[strategy]},
                "evaluator": evaluator,
                "executor": "serial",
            },
        )
        images = Images(train=str(photographs / "train"), validation=str(photographs / "valid"))
        return config, Digits() if space == "digits-cnn" else images

    return options


class Killed(BaseException):
    """Stands for a kill: nothing catches it."""


def search(folder: Path, config: SearchConfig, data: Any, *, killed_after: int = 0) -> SearchResult:
    """Search as a stage of a run, up to so many events."""
    seen = []

    def observe(run: Run, event: object) -> None:
        seen.append(event)
        if len(seen) == killed_after:
            raise Killed

    run = Run(folder, seed=0, stop=Stop(), reporter=Quiet(), observe=observe)
    try:
        return run.search("search", config, data=data)
    finally:
        run.close()


def journal(folder: Path) -> list[dict[str, Any]]:
    """Return the events without what depends on the time."""
    events = [json.loads(line) for line in (folder / "journal.jsonl").read_text().splitlines()]
    for event in events:
        del event["time"], event["check"]
        event.get("trial", {}).pop("seconds", None)
    return events


def files(folder: Path) -> dict[str, bytes]:
    models = (folder / "models").rglob("*")
    return {path.name: path.read_bytes() for path in models if path.is_file()}


@pytest.mark.parametrize(("strategy", "space"), [c for c in CELLS if c not in REFUSED])
def test_search_survives_a_kill_and_hands_over_a_network(
    searched: Callable[[str, str], tuple[SearchConfig, Any]],
    tmp_path: Path,
    strategy: str,
    space: str,
) -> None:
    config, data = searched(strategy, space)
    check_search("search", config, data=data)
    whole = search(tmp_path / "whole", config, data)
    killed_after = KILLED_AFTER.get(strategy, 3)
    with pytest.raises(Killed):
        search(tmp_path / "killed", config, data, killed_after=killed_after)
    resumed = search(tmp_path / "killed", config, data)
    assert resumed.chosen == whole.chosen
    assert resumed.counts == whole.counts
    assert journal(tmp_path / "killed") == journal(tmp_path / "whole")
    assert len(journal(tmp_path / "whole")) >= 4
    assert files(tmp_path / "killed") == files(tmp_path / "whole")
    built = config.space.build()
    network = built.build(resumed.chosen)
    assert network(torch.rand(SPACES[space].input)).isfinite().all()
    if strategy in ONE_SHOT:
        assert resumed.files.keys() == {"inherited"}
    assert resumed.quantities


@pytest.mark.parametrize(("strategy", "space"), REFUSED)
def test_what_makes_no_sense_is_refused_before_the_start(
    searched: Callable[[str, str], tuple[SearchConfig, Any]],
    tmp_path: Path,
    strategy: str,
    space: str,
) -> None:
    config, data = searched(strategy, space)
    with pytest.raises(ConfigError) as refusal:
        check_search("search", config, data=data)
    assert str(refusal.value) == REFUSED[strategy, space]
    with pytest.raises(ConfigError):
        search(tmp_path, config, data)
    assert not (tmp_path / "journal.jsonl").exists() or not journal(tmp_path)


INTRODUCTION = """# Strategies and spaces

Written by `python tests/oneshot/test_strategies_and_spaces.py`; do not edit. Each ✓ is a test: a
small search that is killed, resumes to the same journal and the same files, and hands over a
network. Each number is a refusal before the start, whose reason is below.
"""
END = """
`asha` needs an evaluator that can train a candidate to a share of its training: `sr-training` can,
`tpsr-proxy` cannot. [Choose a strategy](how-to/choose-a-strategy.md) says which to take when, and
[give a space of your own a supernet](how-to/offer-a-supernet.md) what it takes to be searched by
one-shot strategies.
"""


def page() -> str:
    """Return the page of the documentation."""
    reasons = list(dict.fromkeys(map(_reason, REFUSED.values())))
    rows = [["", *(f"`{space}`" for space in SPACES)]]
    rows += [
        [f"`{strategy}`", *(_cell(strategy, space, reasons) for space in SPACES)]
        for strategy in STRATEGIES
    ]
    rows.append(["evaluator", *(f"`{space.evaluator['use']}`" for space in SPACES.values())])
    lines = [f"| {' | '.join(row)} |" for row in rows]
    lines.insert(1, f"|---|{':-:|' * len(SPACES)}")
    numbered = [f"{number}. {reason}" for number, reason in enumerate(reasons, start=1)]
    return "\n".join([INTRODUCTION, *lines, "", *numbered, END])


def _cell(strategy: str, space: str, reasons: Sequence[str]) -> str:
    refusal = REFUSED.get((strategy, space))
    return "✓" if refusal is None else str(1 + reasons.index(_reason(refusal)))


def _reason(refusal: str) -> str:
    """Return a refusal without the names of its strategy and its space."""
    for name in (*ONE_SHOT, *SPACES):
        refusal = refusal.replace(f"'{name}'", "…")
    return refusal


def test_page_is_what_is_tested() -> None:
    assert PAGE.read_text(encoding="utf-8") == page()


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
    sys.exit()
