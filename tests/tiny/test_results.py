"""The network that is committed as a result: it loads, and is what the documentation says."""

import os
from pathlib import Path

import pytest

from corenas import choose
from corenas.cost import count
from corenas_sr.data.datasets import load_pairs
from corenas_sr.models.files import load_model
from corenas_sr.models.inference import upscale
from corenas_sr.results.evaluation import build_metrics, evaluate
from corenas_tiny.config import MULT_ADDS_PER_PIXEL, PARAMS_LIMIT

FILE = Path(__file__).parents[2] / "benchmarks" / "results" / "tiny-x4" / "tiny-x4.safetensors"


def test_costs_are_within_those_of_tpsr_and_are_counted_as_its_own():
    model = load_model(FILE)
    cost = count(model.module, (1, 3, 180, 320))
    assert (cost.params, cost.mult_adds) == (61_048, 3_210_332_160)
    assert cost.params <= PARAMS_LIMIT
    assert cost.mult_adds <= MULT_ADDS_PER_PIXEL * 180 * 320


@pytest.mark.skipif(
    "CORENAS_DATA" not in os.environ, reason="CORENAS_DATA does not name the folder that holds Set5"
)
def test_psnr_on_set5_is_that_of_the_documentation():
    model = load_model(FILE)
    pairs = load_pairs(str(Path(os.environ["CORENAS_DATA"]) / "Set5"), scale=4, split="validation")
    found = evaluate(
        lambda pair: upscale(model.module, pair.lr, scale=4),
        pairs,
        build_metrics([choose("metrics", "psnr")]),
        scale=4,
    )
    assert found.mean["psnr"] == pytest.approx(31.378, abs=0.001)
