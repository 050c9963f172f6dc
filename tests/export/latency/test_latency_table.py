"""Latency tables: all parts once, sums against whole networks, wrong and half-done files."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from torch import nn

from corenas import ConfigError, InputError, SearchSpace, choose, structure
from corenas.cost import Part, Shape, count
from corenas.errors import DataError, ResumeError
from corenas.testing.contracts import random_architectures
from corenas_export.exporting import choose_with
from corenas_export.latency.building import build_table
from corenas_sr.config import CandidateConfig, DataConfig
from corenas_sr.latency import measuring
from corenas_sr.latency.table import LatencyTable
from corenas_sr.training.short_training import ShortTraining

Run = Callable[..., str]

SIZE = (8, 6)
TINY: dict[str, Any] = {
    "widths": [8],
    "blocks": 3,
    "expansions": [2, 1],
    "operations": ["identity", "res3", "next5"],
    "tails": [3],
    "skips": ["nearest"],
}
CELLS: dict[str, Any] = {
    "widths": [8, 16],
    "features": 16,
    "cells": 3,
    "searched_cells": 2,
}
SPACES: dict[str, tuple[str, dict[str, Any]]] = {
    "tiny": ("tiny", {"widths": [12, 16]}),
    "tpsr": ("tpsr-generator", {"scale": 4}),
    "trilevel-a": ("trilevel-a", CELLS),
    "trilevel-b": ("trilevel-b", CELLS),
}


class Counting:
    """An engine whose seconds are billions of mult-adds: of those it is known that they add up."""

    def __init__(self, version: int = 1) -> None:
        self.version = version
        self.counted = 0

    def name(self) -> str:
        return f"counting {self.version}"

    def processor(self) -> str:
        return "paper"

    def prepare(
        self, network: nn.Module, shape: Shape, folder: Path, *, threads: int
    ) -> Callable[[], float]:
        self.counted += 1
        return lambda: count(network, shape).mult_adds / 1e9


@pytest.fixture(autouse=True)
def _once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(measuring, "WARM_UP", 0)
    monkeypatch.setattr(measuring, "FEWEST", 1)
    monkeypatch.setattr(measuring, "MOST", 1)


def made(name: str, options: dict[str, Any]) -> Any:
    """Return a search space with these options."""
    return choose_with("search_spaces", name, options, []).build()


def small() -> SearchSpace:
    space: SearchSpace = made("tiny", TINY)
    return space


def build(out: Path, engine: Counting, space: SearchSpace | None = None) -> LatencyTable:
    return build_table(
        space or small(), engine, size=SIZE, threads=1, out=out, members=4, say=lambda text: None
    )


@pytest.mark.parametrize(("name", "options"), SPACES.values(), ids=SPACES)
def test_parts_are_all_there_and_add_up_to_whole_networks(
    name: str, options: dict[str, Any]
) -> None:
    space = made(name, options)
    shape = (1, 3, 6, 8)
    every = list(space.all_parts(shape))
    assert len({part.key for part in every}) == len(every)
    known = {part.key: count(part.build(), part.shape).mult_adds for part in every}
    for architecture in random_architectures(space, 10, seed=1):
        parts: list[Part] = list(space.parts(architecture, shape))
        whole = count(space.build(architecture), shape).mult_adds
        assert sum(known[part.key] for part in parts) == whole


def test_table_of_what_adds_up_agrees_with_whole_networks(tmp_path: Path) -> None:
    out = tmp_path / "table.json"
    table = build(out, Counting())
    assert LatencyTable.read(out) == table
    # One with head and tail, res3, next5 twice, and fusions of two and of three blocks.
    assert len(table.seconds) == 1 + 1 + 2 + 2
    assert table.agreement["networks"] == 4
    assert table.agreement["mean_relative_error"] < 1e-6
    assert table.agreement["spearman"] > 0.9
    space = small()
    architecture = space.parse({"width": 8, "blocks": ["res3", ["next5", 1]], "fusion": True})
    whole = count(space.build(architecture), table.shape).mult_adds
    assert table.estimate(table.check(space), architecture) == pytest.approx(whole / 1e9)


def test_what_was_interrupted_goes_on(tmp_path: Path) -> None:
    out = tmp_path / "table.json"
    first = Counting()
    table = build(out, first)
    value = json.loads(out.read_text())
    gone = sorted(value["seconds"])[:2]
    for key in gone:
        del value["seconds"][key]
    out.write_text(json.dumps(value))
    second = Counting()
    assert build(out, second) == table
    networks = 4
    # Each of the parts is timed once or twice, alone and in a chain.
    assert networks + len(gone) <= second.counted <= networks + 2 * len(gone) < first.counted


def test_table_of_something_else_is_left_alone(tmp_path: Path) -> None:
    out = tmp_path / "table.json"
    build(out, Counting())
    before = out.read_bytes()
    with pytest.raises(InputError, match="exists, with engine 'counting 1' in place of 'counting"):
        build(out, Counting(version=2))
    assert out.read_bytes() == before


def evaluator(space: SearchSpace, table: Path, **options: Any) -> ShortTraining:
    config = structure(CandidateConfig, {"latency_table": str(table), **options})
    return ShortTraining(config, space, DataConfig())


def test_candidates_are_measured_and_rejected_by_a_table(tmp_path: Path) -> None:
    out = tmp_path / "table.json"
    table, space = build(out, Counting()), small()
    one, two = (space.parse({"width": 8, "blocks": ["res3"] * number}) for number in (1, 2))
    seconds = table.estimate(table.check(space), one)
    limited = evaluator(space, out, latency_limit=seconds)
    assert limited.measures["latency"].protocol == (
        "input of 8x6, sum of parts, counting 1, 1 thread, paper"
    )
    assert limited.costs(one)["latency"] == seconds
    assert limited.reject_costly(one) is None
    rejected = limited.reject_costly(two)
    assert rejected is not None
    assert rejected.reason.endswith(f"ms, the limit is {1e3 * seconds:.4g} ms")


def test_table_for_other_options_or_another_space_is_refused(tmp_path: Path) -> None:
    out = tmp_path / "table.json"
    build(out, Counting())
    wider = made("tiny", {**TINY, "widths": [8, 12]})
    with pytest.raises(ConfigError, match=r"latency_table: .*table\.json: the latency table lacks"):
        evaluator(wider, out)
    other = choose("search_spaces", "tpsr-generator").build()
    with pytest.raises(ConfigError, match="a latency table of the space 'tiny', not 'tpsr-gen"):
        evaluator(other, out)


@pytest.mark.parametrize(
    "changes",
    [
        {"activation": "gelu"},
        {"operations": ["identity", "res3", {"use": "next5", "expansion": 4}]},
        {"scale": 2},
    ],
)
def test_table_for_other_operations_is_refused(tmp_path: Path, changes: dict[str, Any]) -> None:
    out = tmp_path / "table.json"
    build(out, Counting())
    with pytest.raises(ConfigError, match="the latency table lacks"):
        evaluator(made("tiny", {**TINY, **changes}), out)


def test_table_that_became_another_one_ends_a_resumed_search(tmp_path: Path) -> None:
    out = tmp_path / "table.json"
    build(out, Counting())
    state = evaluator(small(), out).state()
    evaluator(small(), out).restore(state)
    out.write_text(out.read_text().replace("paper", "stone"))
    with pytest.raises(ResumeError, match=r"table\.json: not the latency table that the search"):
        evaluator(small(), out).restore(state)


def test_options_that_do_not_go_together() -> None:
    with pytest.raises(ConfigError, match="latency: candidates are timed, or"):
        structure(CandidateConfig, {"latency_table": "a", "latency": [8, 6]})
    limited = structure(CandidateConfig, {"latency_limit": 0.1})
    with pytest.raises(ConfigError, match="latency_limit: needs latency_table"):
        ShortTraining(limited, small(), DataConfig())
    unused = structure(CandidateConfig, {"latency_engine": "onnxruntime"})
    with pytest.raises(ConfigError, match="latency_engine: times nothing; set latency"):
        ShortTraining(unused, small(), DataConfig()).check()
    lame = {"latency_engine": {"use": "command"}, "latency": [8, 6]}
    with pytest.raises(ConfigError, match="command: a command line that prints milliseconds"):
        ShortTraining(structure(CandidateConfig, lame), small(), DataConfig()).check()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (None, "cannot be read: No such file"),
        ("{", "no latency table: "),
        ("[]", "no latency table, as 'corenas latency table' writes it"),
        ({"version": 2}, "of version 2, which this CoreNAS does not know"),
        ({"input": [0, 6]}, "a damaged latency table"),
        ({"seconds": {"res3": -1}}, "a damaged latency table"),
        ({"seconds": {"res3": float("nan")}}, "a damaged latency table"),
        ({"seconds": [1]}, "a damaged latency table"),
        ({"input": "86"}, "a damaged latency table"),
        ({"input": [8.5, 6]}, "a damaged latency table"),
        ({"agreement": []}, "a damaged latency table"),
    ],
)
def test_files_that_are_no_tables(tmp_path: Path, change: Any, message: str) -> None:
    out = tmp_path / "table.json"
    if isinstance(change, dict):
        LatencyTable("tiny", SIZE, "e", 1, "p", {"res3": 1.0}).write(out)
        out.write_text(json.dumps({**json.loads(out.read_text()), **change}))
    elif change is not None:
        out.write_text(change)
    with pytest.raises(DataError, match=message):
        LatencyTable.read(out)


OPTIONS = [
    *("--set=space.widths=[8]", "--set=space.blocks=2", "--set=space.tails=[3]"),
    *('--set=space.operations=["identity", "res3"]', '--set=space.skips=["none"]'),
    "--set=space.fusion=false",
]


@pytest.mark.parametrize("engine", ["torch", "onnxruntime"])
def test_command_writes_a_table_and_says_how_sums_agree(corenas: Run, engine: str) -> None:
    arguments = ("latency", "table", "tiny", "--out=table.json", f"--engine={engine}")
    printed = corenas(*arguments, "--input=16x12", "--networks=2", *OPTIONS)
    assert "table.json: 2 parts, input of 16x12, sum of parts, " in printed
    assert "sums of parts against 2 whole networks: " in printed
    assert "mean relative error " in printed
    table = LatencyTable.read(Path("table.json"))
    assert sorted(table.seconds) == [
        "ends 8 tail 3 skip none x4 at 1x3x12x16",
        "res3 activation=leaky for 8 at 1x8x12x16",
    ]
    again = json.loads(corenas(*arguments, "--input=16x12", "--networks=0", "--json", *OPTIONS))
    assert again["parts"] == 2


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["tyny", "--out=a.json"], "unknown search space 'tyny'; did you mean 'tiny'?"),
        (["tiny", "--out=no/a.json"], "--out no/a.json: there is no folder"),
        (["tiny", "--out=a.json", "--set=widths=[8]"], "has to begin with space. or engine."),
        (["tiny", "--out=a.json", "--set=space.width=8"], "unknown key 'width'"),
        (["tpsr-discriminator", "--out=a.json"], "does not tell the parts of its networks"),
    ],
)
def test_wrong_arguments_are_said(fails: Run, arguments: list[str], message: str) -> None:
    assert message in fails(2, "latency", "table", *arguments)
    assert not Path("a.json").exists()
