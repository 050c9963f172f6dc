"""What is known of an image metric before it is built."""

from __future__ import annotations

import subprocess
import sys

import pytest

import corenas
from corenas import Registry, builtin, default_registry
from corenas.values.quantity import Better, Quantity
from corenas_sr.metric import MetricInfo


@pytest.mark.parametrize(("better", "sign"), [("higher", 1), ("lower", -1)])
def test_a_metric_measures_a_quantity(better: Better, sign: int) -> None:
    info = MetricInfo(better, unit="dB", protocol="Y, shave = scale")
    quantity = info.quantity("psnr")
    assert quantity == Quantity("psnr", better, "dB", "Y, shave = scale")
    assert quantity.sign == info.sign == sign


def test_image_metrics_are_not_the_cores() -> None:
    core = Registry()
    core.register("corenas", builtin)
    assert "metrics" not in core.kinds
    assert default_registry().kinds["metrics"].metadata is MetricInfo
    assert not {"Metric", "MetricInfo"} & set(corenas.__all__)


def test_what_is_known_is_imported_without_torch() -> None:
    code = "import sys, corenas_sr.metric; sys.exit('torch' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
