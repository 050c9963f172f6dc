"""A search problem with real answers: every network of a small space of digits, trained once.

    nice python benchmarks/digits_table.py

The space is that of ``examples/digits`` with one to three blocks of eight channels: 4,368 networks.
Each is trained for 40 steps of 32 images, so short that the accuracies of good and bad networks
lie far apart. The table is ``data/digits-table.csv``: the network, how many of the 360 validation
images it has right, and its parameters. What stands there is not trained again, so a stopped run
goes on; all of it takes about ten minutes of one thread. `compare_samplers.py` searches the table.
"""

from __future__ import annotations

import csv
import sys
from collections.abc import Iterator, Mapping
from functools import cached_property
from itertools import product
from pathlib import Path
from typing import Any

import torch
from attrs import frozen

from corenas import (
    PARAMS,
    Architecture,
    Decision,
    IndependentJobs,
    Job,
    Measurement,
    Outcome,
    Quantity,
    Report,
)
from corenas.search.lift import trial_seed
from corenas.training.config import TrainingConfig
from corenas_digits.config import DataConfig, EvaluatorConfig, SpaceConfig
from corenas_digits.evaluator import DigitsEvaluator, DigitsJob
from corenas_digits.space import OPERATIONS, DigitsSpace

FILE = Path(__file__).parent / "data" / "digits-table.csv"
COLUMNS = ("blocks", "right", "params")
BLOCKS = 3
WIDTH = 8
IMAGES = 360
CONFIG = EvaluatorConfig(
    TrainingConfig(steps=40, batch=32, learning_rate=1e-2, schedule="cosine"), params_limit=None
)
ACCURACY = Quantity("accuracy", "higher", "%", f"{IMAGES} validation images, after 40 steps")


class TableSpace(DigitsSpace):
    """The digits' space with one width."""

    name = "digits-table"

    def __init__(self) -> None:
        super().__init__(SpaceConfig(BLOCKS))
        self.decisions = tuple(
            Decision("width", (str(WIDTH),), "width") if each.name == "width" else each
            for each in self.decisions
        )

    def text(self, architecture: Architecture) -> str:
        """Return the blocks as the table writes them: ``conv3 pool|sep5 shortcut``."""
        return "|".join(self.format(architecture)["blocks"])

    def networks(self) -> Iterator[Architecture]:
        """Yield every network once."""
        flags = ("", " shortcut", " pool", " shortcut pool")
        blocks = [operation + flag for operation, flag in product(OPERATIONS, flags)]
        for count in range(1, BLOCKS + 1):
            for chosen in product(blocks, repeat=count):
                yield self.parse({"width": WIDTH, "blocks": chosen})


@frozen
class Row:
    """What the table knows of a network."""

    accuracy: float
    params: int


@frozen
class Known:
    """A job that has been done already."""

    row: Row

    def run(self, device: str, report: Report) -> Outcome:
        return Outcome({"accuracy": self.row.accuracy})


class TableEvaluator(IndependentJobs):
    """Looks networks up."""

    def __init__(self, space: TableSpace) -> None:
        self._space = space

    @property
    def measures(self) -> Mapping[str, Quantity]:
        return {each.name: each for each in (ACCURACY, PARAMS)}

    @cached_property
    def rows(self) -> dict[str, Row]:
        """The whole table, by the blocks' text."""
        with FILE.open(encoding="utf-8", newline="") as file:
            return {
                row["blocks"]: Row(100 * int(row["right"]) / IMAGES, int(row["params"]))
                for row in csv.DictReader(file)
            }

    def prepare(self, architecture: Architecture, *, number: int, seed: int) -> Job:
        return Known(self.rows[self._space.text(architecture)])

    def measure(self, architecture: Architecture, outcome: Outcome) -> Measurement:
        params = self.rows[self._space.text(architecture)].params
        return Measurement({**outcome.metrics, "params": params})


def main() -> int:
    torch.set_num_threads(1)
    space = TableSpace()
    evaluator = DigitsEvaluator(CONFIG, space, DataConfig())
    known = _read_known()
    with FILE.open("a", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        if not known:
            writer.writerow(COLUMNS)
        for number, architecture in enumerate(space.networks()):
            text = space.text(architecture)
            if text not in known:
                writer.writerow([text, *_measure(evaluator, space, architecture, number)])
                file.flush()
    return 0


def _read_known() -> set[str]:
    if not FILE.exists():
        return set()
    with FILE.open(encoding="utf-8", newline="") as file:
        return {row["blocks"] for row in csv.DictReader(file)}


def _measure(
    evaluator: DigitsEvaluator, space: TableSpace, architecture: Architecture, number: int
) -> tuple[int, int]:
    job: Any = DigitsJob(CONFIG, space, architecture, DataConfig(), trial_seed(0, number))
    outcome = job.run("cpu", lambda step, value: False)
    metrics = evaluator.measure(architecture, outcome).metrics
    return round(metrics["accuracy"] * IMAGES / 100), int(metrics["params"])


if __name__ == "__main__":
    sys.exit(main())
