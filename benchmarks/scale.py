"""What a search of many trials costs at its end as at its beginning, and looking at it.

    python benchmarks/scale.py [--trials 50000] [--strategies random evolution reinforce]

A trial does nothing: it draws three numbers from its candidate. Each search is a run of its own, in
a process of its own, that is interrupted after so many trials. Then that of the first strategy is
looked at by the commands `status`, `best` and `best --pareto`, and opened, each in a new process.
Times are CPU times; memory is the resident set, at its peak for the commands.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from functools import cached_property
from pathlib import Path
from typing import Any

from attrs import frozen
from timing import Row, print_rows

from corenas import (
    Architecture,
    Budget,
    Event,
    Job,
    Measurement,
    Outcome,
    Problem,
    Quantity,
    Recipe,
    Report,
    Run,
    Stop,
    Stopped,
    choose,
)
from corenas.plugins.registry import default_registry
from corenas.runs.identity import RunOptions
from corenas.runs.launch import launch
from corenas.search.executors.serial import Serial
from corenas.search.lift import SampledSearch
from corenas.show.reporter import Quiet
from corenas.testing.surrogate import SurrogateEvaluator, SurrogateSpace, mult_adds, psnr_score

PARTS = 10
"""A search is measured in so many parts of equal length."""

SLOWER = 1.25
"""How much slower the last part may be per trial than the first."""

SECONDS = 2.0
"""What a command may take."""


def main() -> int:
    arguments = _arguments()
    if arguments.search:
        return _search(arguments.folder, arguments.search, arguments.trials)
    if arguments.open:
        return _open(arguments.folder)
    rows: list[Row] = []
    with tempfile.TemporaryDirectory(dir=arguments.folder, prefix="scale-") as name:
        for strategy in arguments.strategies:
            folder = Path(name) / strategy
            _time([sys.executable, __file__, *_own(folder, arguments.trials), "--search", strategy])
            rows += _judge_search(strategy, json.loads((folder / "parts.json").read_text()))
        folder = Path(name) / arguments.strategies[0]
        size = (folder / "journal.jsonl").stat().st_size
        print(f"journal: {size / arguments.trials:.0f} bytes a trial")
        for what, command in _looks(folder).items():
            seconds, memory = _time(command)
            rows.append(Row(what, seconds, SECONDS, f"s; {memory / 1e6:.0f} MB at its peak"))
        command = [sys.executable, __file__, *_own(folder, arguments.trials), "--open"]
        seconds, memory = json.loads(subprocess.check_output(command))
        rows.append(Row("opening", seconds, SECONDS, f"s; {memory / 1e6:.0f} MB more than before"))
    return print_rows(f"{arguments.trials:,} trials", rows)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--trials", type=int, default=50_000)
    parser.add_argument("--strategies", nargs="+", default=["random", "evolution", "reinforce"])
    parser.add_argument("--folder", type=Path, default=Path())
    parser.add_argument("--search", default="", help=argparse.SUPPRESS)
    parser.add_argument("--open", action="store_true", help=argparse.SUPPRESS)
    return parser.parse_args()


def _own(folder: Path, trials: int) -> Sequence[str]:
    return f"--folder={folder}", f"--trials={trials}"


def _looks(folder: Path) -> Mapping[str, Sequence[str]]:
    cli = (sys.executable, "-m", "corenas.cli")
    return {
        "status": [*cli, "status", str(folder)],
        "best": [*cli, "best", str(folder)],
        "best --pareto": [*cli, "best", str(folder), "--pareto"],
    }


def _time(command: Sequence[str]) -> tuple[float, float]:
    """Return the CPU seconds of a command, and its peak of memory in bytes."""
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    _, status, used = os.wait4(process.pid, 0)
    if status:
        raise RuntimeError(f"{' '.join(command)}: status {os.waitstatus_to_exitcode(status)}")
    return used.ru_utime + used.ru_stime, 1024 * used.ru_maxrss


def _judge_search(strategy: str, parts: Sequence[Mapping[str, float]]) -> Iterator[Row]:
    # Not the first one, which has the start in it.
    first, last = (parts[index]["seconds"] for index in (1, -1))
    trials = parts[0]["trials"]
    detail = f"{1e3 * first / trials:.3f} to {1e3 * last / trials:.3f} ms a trial"
    yield Row(f"{strategy}: last tenth / second tenth, CPU", last / first, SLOWER, detail)
    grown = (parts[-1]["memory"] - parts[1]["memory"]) / (trials * (len(parts) - 2))
    yield Row(f"{strategy}: memory that a trial leaves, kB", grown / 1e3, 0.5)
    sizes = [part["checkpoint"] for part in parts]
    detail = f"{sizes[1] / 1e3:.0f} to {sizes[-1] / 1e3:.0f} kB"
    # A search of less than a second has none.
    ratio = sizes[-1] / (sizes[1] or sizes[-1] or 1)
    yield Row(f"{strategy}: checkpoint, last / second tenth", ratio, SLOWER, detail)


@frozen
class NoOp:
    """A job that trains nothing, and draws numbers from its candidate."""

    architecture: Architecture

    def run(self, device: str, report: Report) -> Outcome:
        digest = int(self.architecture.id, 16)
        cost = mult_adds(self.architecture)
        # Compromises: what costs more is better, and chance has its share.
        psnr = 30 + cost / 2e10 + digest % 1000 / 1e4
        return Outcome({"psnr": psnr, "mult_adds": cost, "latency": digest // 1000 % 1000 / 1e3})


class NoOpEvaluator(SurrogateEvaluator):
    """Counts no costs and refuses nothing."""

    @cached_property
    def measures(self) -> Mapping[str, Quantity]:
        return {
            "psnr": Quantity("psnr", "higher", "dB"),
            "mult_adds": Quantity("mult_adds", "lower"),
            "latency": Quantity("latency", "lower", "s"),
        }

    def prepare(self, architecture: Architecture, *, number: int, seed: int) -> Job:
        return NoOp(architecture)

    def measure(self, architecture: Architecture, outcome: Outcome) -> Measurement:
        return Measurement(outcome.metrics)


@frozen
class Options:
    """The recipe's: how many trials by which strategy."""

    trials: int = 0
    strategy: str = ""


class Measured(SampledSearch):
    """Notes time, memory and the checkpoint's size in parts, and asks to stop at the last trial."""

    def watch(self, run: Run, trials: int) -> None:
        self._run, self._trials, self.parts = run, trials, list[dict[str, float]]()

    def events(self) -> Iterator[Event]:
        length, began = max(1, self._trials // PARTS), time.process_time()
        for event in super().events():
            if event.kind == "trial" and event.step % length == 0:
                now = time.process_time()
                self.parts.append(
                    {
                        "trials": length,
                        "seconds": now - began,
                        "memory": _resident(),
                        "checkpoint": _size(self._run.folder / "checkpoints" / "current.pt"),
                    }
                )
                began = now
                if event.step >= self._trials:
                    self._run.stop.request("interrupted")
            yield event


def _resident() -> float:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return float(pages * resource.getpagesize())


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def work(run: Run, options: Options) -> Mapping[str, Any]:
    """Search, as the recipe of the benchmark."""
    space = SurrogateSpace()
    problem = Problem(
        space, NoOpEvaluator(), psnr_score, Serial(stop=run.stop), Budget(2 * options.trials)
    )
    strategy = choose("strategies", options.strategy).build()
    task = Measured(problem, strategy.sampler(problem))
    task.watch(run, options.trials)
    run.stage("search", task, quantities=task.quantities)
    (run.folder / "parts.json").write_text(json.dumps(task.parts))
    return {}


def _search(folder: Path, strategy: str, trials: int) -> int:
    with suppress(Stopped):
        launch(
            Recipe("scale", "__main__:work", Options),
            Options(trials, strategy),
            registry=default_registry(),
            options=RunOptions(out=folder, device="cpu", workers=1),
            reporter=Quiet(),
        )
    return 0


def _open(folder: Path) -> int:
    """Print what opening takes without what every run needs, such as torch."""
    import torch  # here alone: a command's peak of memory begins at that of who starts it

    buffer = io.BytesIO()
    torch.save({}, buffer)
    torch.load(io.BytesIO(buffer.getvalue()), weights_only=True)
    memory, began = _peak(), time.process_time()
    run = Run(folder, seed=0, stop=Stop(), reporter=Quiet())
    seconds = time.process_time() - began
    run.close()
    print(json.dumps([seconds, _peak() - memory]))
    return 0 if run.begun else 1


def _peak() -> float:
    return 1024.0 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


if __name__ == "__main__":
    sys.exit(main())
