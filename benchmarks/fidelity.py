"""Successive halving against full trainings: the best score found, and the CPU time it takes.

    python benchmarks/fidelity.py [--task digits] [--task photographs] [--seeds 5]

Two problems with real, short trainings: digits (`examples/digits`, at most 2,000 parameters, 810
steps) and the bundled photographs (cells of 4 nodes of the space tpsr-generator at x2, 450 steps).
Full trainings of ``--candidates`` random candidates are compared with strategies that train in
shares, which look at a few more of the same candidates. A candidate's seed is that of its
architecture, so what one search has trained, another one that asks for it finds again with the CPU
time that it took; a continued training is the uninterrupted one bit for bit, so nothing changes by
it. One thread, about ten minutes.
"""

from __future__ import annotations

import argparse
import pickle
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import Any

import torch
from attrs import evolve, frozen

sys.path.insert(0, str(Path(__file__).parents[1] / "examples" / "digits"))

from corenas import (
    Budget,
    Chosen,
    Job,
    Outcome,
    Problem,
    Rejected,
    SearchSpace,
    Share,
    Stop,
    Trial,
    choose,
    structure,
)
from corenas.search.executors.serial import Serial
from corenas.search.objectives import MetricObjective
from corenas.search.rungs.ladder import Ladder
from corenas.values.fidelity import FULL_TRAINING, format_share
from corenas.values.ranking import kendall_tau
from corenas.values.seeds import derive_seed
from corenas_digits.config import DataConfig as DigitsData
from corenas_digits.config import EvaluatorConfig, SpaceConfig
from corenas_digits.evaluator import DigitsEvaluator
from corenas_digits.space import DigitsSpace
from corenas_sr.config import CandidateConfig, DataConfig
from corenas_sr.results.report import align_columns
from corenas_sr.training.short_training import ShortTraining

RUNGS = 3

STOPS = (1 / 16, 1 / 9, 1 / 4, 1 / 3, 1.0)
"""Where every candidate is measured on its way: the shares of three rungs with eta 3 or 4."""

BAR = 1 / 3
"""The largest share of the CPU time of full trainings that halving may take."""


@frozen
class Point:
    """What a candidate gave after a share, and the CPU seconds from its beginning to there."""

    metrics: Mapping[str, float]
    state: bytes
    seconds: float


class Curves:
    """An evaluator that trains each candidate once, and charges each search for what it asks.

    Args:
        inner: Trains and measures.
        seed: With an architecture, decides the seed of its training.
        folder: Keeps what was trained for the next start.
    """

    continues = True

    def __init__(self, inner: Any, seed: int, folder: Path) -> None:
        self._inner = inner
        self._seed = seed
        self._folder = folder
        self.charged = 0.0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    def prepare(self, architecture: Any, *, number: int, seed: int) -> Job | Rejected:
        return self.prepare_share(architecture, FULL_TRAINING, number=number, seed=seed)

    def prepare_share(
        self, architecture: Any, share: Share, *, number: int, seed: int
    ) -> Job | Rejected:
        job = self._inner.prepare_share(architecture, share, number=number, seed=seed)
        return job if isinstance(job, Rejected) else _Asked(self, architecture, share)

    def measure_at(self, architecture: Any, share: Share) -> Outcome:
        """Return what a candidate gives at a share, and charge what it takes to come there."""
        point = self._point(architecture, share.fidelity, annealed=share.annealed)
        before = float(share.state) if share.state else 0.0
        self.charged += point.seconds - before
        # What this job hands back is how much of it has been charged for.
        return Outcome(point.metrics, state=b"" if share.is_full else repr(point.seconds).encode())

    def _point(self, architecture: Any, fidelity: float, *, annealed: bool) -> Point:
        name = f"{self._seed}-{architecture.id}{'-annealed' if annealed else ''}.pickle"
        file = self._folder / name
        known = pickle.loads(file.read_bytes()) if file.exists() else {}
        for stop in STOPS:
            if stop <= fidelity and stop not in known:
                known[stop] = self._train(architecture, known, stop, annealed=annealed)
                file.write_bytes(pickle.dumps(known))
        return Point(**known[fidelity])

    def _train(
        self, architecture: Any, known: Mapping[float, Any], stop: float, *, annealed: bool
    ) -> Any:
        """Go on from the stop below, as every search would."""
        below = max((each for each in known if each < stop), default=0.0)
        start = Point(**known[below]) if below else Point({}, b"", 0.0)
        share = Share(stop, start.state, annealed)
        seed = derive_seed(self._seed, architecture.id)
        job = self._inner.prepare_share(architecture, share, number=0, seed=seed)
        started = time.process_time()
        outcome = job.run("cpu", lambda step, value: False)
        seconds = start.seconds + time.process_time() - started
        return {"metrics": dict(outcome.metrics), "state": outcome.state, "seconds": seconds}


@frozen
class _Asked:
    curves: Curves
    architecture: Any
    share: Share

    def run(self, device: str, report: Any) -> Outcome:
        return self.curves.measure_at(self.architecture, self.share)


@frozen
class Task:
    """A problem: its space, what makes its evaluator, and the metric that counts."""

    space: SearchSpace
    evaluator: Callable[[], Any]
    metric: str
    unit: str


def digits() -> Task:
    """Return classifiers of digits with at most 2,000 parameters."""
    space = DigitsSpace(SpaceConfig())
    options = {"steps": 810, "batch": 16, "learning_rate": 3e-3, "report_every": 1000}
    config = structure(EvaluatorConfig, {"training": options, "params_limit": 2000})
    return Task(space, lambda: DigitsEvaluator(config, space, DigitsData()), "accuracy", "%")


def photographs() -> Task:
    """Return small super-resolution networks at x2."""
    space = _with(choose("search_spaces", "tpsr-generator"), nodes=4).build()
    options = {"steps": 450, "batch": 4, "patch": 12, "ema": 0.99, "report_every": 1000}
    config = structure(CandidateConfig, {"training": options, "crops": 8, "crop_size": 24})
    return Task(space, lambda: ShortTraining(config, space, DataConfig()), "psnr", "dB")


TASKS: Mapping[str, Callable[[], Task]] = {"digits": digits, "photographs": photographs}


def _with(chosen: Chosen, **options: Any) -> Chosen:
    return evolve(chosen, config=structure(type(chosen.config), options))


@frozen
class Found:
    """What one search found: the best score in full, how many were trained in full, its cost."""

    best: float
    full: int
    seconds: float
    trials: Sequence[Trial]


def search(task: Task, curves: Curves, strategy: Chosen, candidates: int, seed: int) -> Found:
    """Search with one strategy."""
    curves.charged = 0.0
    problem = Problem(
        task.space,
        curves,
        MetricObjective(task.metric, 1),
        Serial(stop=Stop()),
        Budget(candidates),
        seed,
    )
    events = strategy.build().search(problem).events()
    trials = [event.trial for event in events if event.kind == "trial" and event.trial]
    full = [trial.score or 0.0 for trial in trials if trial.fidelity == 1]
    return Found(max(full), len(full), curves.charged, trials)


def main() -> int:
    """Run the comparison; return 1 where a bar is missed."""
    arguments = _arguments()
    torch.set_num_threads(1)
    missed = False
    for name in arguments.task or TASKS:
        task = TASKS[name]()
        missed = _compare(name, task, arguments) or missed
    return int(missed)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--task", action="append", choices=list(TASKS))
    parser.add_argument("--out", type=Path, default=Path("runs/benchmark-fidelity"))
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--candidates", type=int, default=14, help="of the full trainings")
    parser.add_argument("--in-shares", type=int, default=24, help="candidates of the others")
    parser.add_argument("--eta", type=int, default=4, choices=(3, 4))
    parser.add_argument("--annealed", action="store_true", help="compare the schedules too")
    return parser.parse_args()


def _compare(name: str, task: Task, arguments: argparse.Namespace) -> bool:
    """Print one problem's tables; return whether ``asha`` missed a bar."""
    plain = choose("strategies", "random")
    halving = {
        each: _with(choose("strategies", each), eta=arguments.eta, rungs=RUNGS)
        for each in ("asha", "halving", "hyperband")
    }
    results: dict[str, list[tuple[Found, Found]]] = {each: [] for each in halving}
    all_curves = []
    for seed in range(arguments.seeds):
        folder = arguments.out / name
        folder.mkdir(parents=True, exist_ok=True)
        curves = Curves(task.evaluator(), seed, folder)
        full = search(task, curves, plain, arguments.candidates, seed)
        all_curves.append((curves, full))
        for each, strategy in halving.items():
            found = search(task, curves, strategy, arguments.in_shares, seed)
            results[each].append((full, found))
    rows = [
        ("strategy", "candidates", "in full", "CPU / full", f"best - full's, {task.unit}", "seeds"),
        *(_row(each, arguments.in_shares, pairs) for each, pairs in results.items()),
    ]
    best = median(full.best for _, full in all_curves)
    print(
        f"\n{name}: full trainings of {arguments.candidates} random candidates, "
        f"{median(full.seconds for _, full in all_curves):.0f} s of CPU time, best {best:.2f} "
        f"{task.unit} (medians of {arguments.seeds} seeds)",
        *align_columns(rows),
        *_ranks(task, all_curves, arguments),
        sep="\n",
    )
    pairs = results["asha"]
    return median(_ratios(pairs)) > BAR or median(_differences(pairs)) < 0


def _ratios(pairs: Sequence[tuple[Found, Found]]) -> list[float]:
    return [found.seconds / full.seconds for full, found in pairs]


def _differences(pairs: Sequence[tuple[Found, Found]]) -> list[float]:
    return [found.best - full.best for full, found in pairs]


def _row(name: str, candidates: int, pairs: Sequence[tuple[Found, Found]]) -> tuple[str, ...]:
    gains = _differences(pairs)
    return (
        name,
        str(candidates),
        f"{median(found.full for _, found in pairs):g}",
        f"{median(_ratios(pairs)):.3f}",
        f"{median(gains):+.2f} ({min(gains):+.2f} to {max(gains):+.2f})",
        f"{sum(gain >= 0 for gain in gains)} of {len(gains)} as good",
    )


def _ranks(
    task: Task, searched: Sequence[tuple[Curves, Found]], arguments: argparse.Namespace
) -> Iterator[str]:
    """Iterate over lines on how scores after shares rank the candidates of all full trainings.

    Tau is taken within each search, all of whose candidates were trained in full, and then its
    mean.
    """
    ladder = Ladder(arguments.eta, RUNGS)
    for annealed in (False, True) if arguments.annealed else (False,):
        for rung in range(ladder.top):
            share = Share(ladder.fidelity(rung), annealed=annealed)
            found = [
                kendall_tau([(_score(task, c, t, share), t.score or 0.0) for t in full.trials])
                for c, full in searched
            ]
            taus = [tau for tau in found if tau is not None]
            how = "annealed to its end at each share" if annealed else "followed"
            yield (
                f"Kendall's tau, {format_share(share.fidelity)} of the training against all, "
                f"schedule {how}: {sum(taus) / len(taus):+.2f} (n = {len(taus)} x "
                f"{arguments.candidates})"
            )


def _score(task: Task, curves: Curves, trial: Trial, share: Share) -> float:
    return float(curves.measure_at(trial.architecture, share).metrics[task.metric])


if __name__ == "__main__":
    raise SystemExit(main())
