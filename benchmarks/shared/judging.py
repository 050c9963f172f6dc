"""What the benchmark of TPSR's stage two measures of a model, each model once."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor, as_completed
from multiprocessing import get_context
from pathlib import Path

from attrs import evolve, frozen

from corenas import Chosen, choose
from corenas.devices import use_one_thread
from corenas_sr.data.datasets import load_pairs
from corenas_sr.metric import ImageMetric
from corenas_sr.models.files import load_model
from corenas_sr.models.inference import upscale
from corenas_sr.results.evaluation import build_metrics, evaluate
from shared.perceptual import link_others
from shared.running import SIDE_BY_SIDE

Numbers = Mapping[str, float]


def _digest(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()


@frozen
class Table:
    """What is measured of a model, each once: ``out`` keeps it."""

    data: Path
    generator: Path
    out: Path

    def measure_all(self, files: Iterable[Path]) -> None:
        """Measure models, two at once."""
        known = self._known()
        new = {digest: file for file in files if (digest := _digest(file)) not in known}
        link_others(self.data, self.out)
        with ProcessPoolExecutor(
            SIDE_BY_SIDE, mp_context=get_context("spawn"), initializer=use_one_thread
        ) as pool:
            running = {pool.submit(self._measure, file): digest for digest, file in new.items()}
            for future in as_completed(running):
                with self._kept.open("a") as opened:
                    opened.write(json.dumps([running[future], future.result()]) + "\n")

    def measure(self, file: Path) -> Numbers:
        """Return the metrics of a model by the names of the columns."""
        self.measure_all([file])
        return self._known()[_digest(file)]

    @property
    def _kept(self) -> Path:
        return self.out / "measured.jsonl"

    def _known(self) -> dict[str, Numbers]:
        lines = self._kept.read_text().splitlines() if self._kept.exists() else []
        return dict(map(json.loads, lines))

    def _measure(self, file: Path) -> Numbers:
        model = load_model(file)
        found: dict[str, float] = {}
        for folder, metrics, names in self._metrics():
            pairs = load_pairs(str(folder), scale=model.scale, split="validation")
            result = evaluate(
                lambda pair: upscale(model.module, pair.lr, scale=model.scale),
                pairs,
                metrics,
                scale=model.scale,
            )
            found |= {names.get(name, name): value for name, value in result.mean.items()}
        return found

    def _metrics(self) -> Iterator[tuple[Path, Mapping[str, ImageMetric], Mapping[str, str]]]:
        """Yield images, metrics of them, and what they are called where not by their names."""
        set5, niqe = self.data / "Set5", choose("metrics", "niqe")
        yield set5, build_metrics([choose("metrics", "psnr"), niqe]), {}
        for net, trunk in (("vgg", "vgg16"), ("alex", "alexnet"), ("squeeze", "squeezenet1_1")):
            yield set5, build_metrics([self._lpips(net, trunk)]), {"lpips": f"lpips {net}"}
        for net in ("vgg", "alex"):
            chosen = choose("metrics", "st-lpips")
            chosen = evolve(chosen, config=evolve(chosen.config, net=net))
            yield set5, build_metrics([chosen]), {"st-lpips": f"st-lpips {net}"}
        chosen = choose("metrics", "st-lpips")
        others = build_metrics([niqe, choose("metrics", "psnr"), chosen])
        yield link_others(self.data, self.out), others, {each: f"{each}, kodak" for each in others}

    def _lpips(self, net: str, trunk: str) -> Chosen:
        chosen = choose("metrics", "lpips")
        weights = self.data / "weights" / f"{trunk}_features.pth"
        return evolve(chosen, config=evolve(chosen.config, net=net, weights=weights))
