from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from corenas import Component, choose, default_registry
from corenas_metrics.plugin import corenas_metrics as registered
from corenas_sr.contracts import ImageMetricContract
from corenas_sr.metric import ImageMetric

COMPONENTS = {component.name: component for component in registered()}


@pytest.mark.parametrize("module", ["plugin", "config"])
def test_the_command_line_starts_without_torch(module: str) -> None:
    code = f"import sys, corenas_metrics.{module}; sys.exit('torch' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_the_registry_finds_the_metrics() -> None:
    registry = default_registry()
    for name, component in COMPONENTS.items():
        assert registry.component("metrics", name) == component


@pytest.mark.parametrize("name", ["psnr", "ssim", "niqe", "random-features"])
def test_a_default_metric_measures_as_its_metadata_says(name: str) -> None:
    metric = choose("metrics", name).build()
    assert metric.info == COMPONENTS[name].metadata
    generator = torch.Generator().manual_seed(0)
    images = torch.randint(0, 256, (2, 1, 3, 200, 480), generator=generator, dtype=torch.uint8)
    value = metric(images[0], None if name == "niqe" else images[1], scale=2)
    assert value.shape == (1,)
    assert value.dtype == torch.float64
    assert value.isfinite().all()


@pytest.mark.parametrize("component", COMPONENTS.values(), ids=COMPONENTS)
def test_every_metric_says_how_it_measures(component: Component) -> None:
    assert component.metadata.protocol
    assert component.summary


def test_the_example_in_the_documentation_runs(capsys: pytest.CaptureFixture[str]) -> None:
    text = (Path(__file__).parents[2] / "docs" / "metrics.md").read_text(encoding="utf-8")
    (example,) = re.findall(r"```python\n(.*?)```", text, flags=re.DOTALL)
    exec(compile(example, "docs/metrics.md", "exec"), {})
    assert capsys.readouterr().out.count("tensor") == 4


def test_the_documentation_names_every_metric_and_its_default_protocol() -> None:
    text = (Path(__file__).parents[2] / "docs" / "metrics.md").read_text(encoding="utf-8")
    for name in COMPONENTS:
        assert f"| `{name}` |" in text
    for name in ("psnr", "ssim", "lpips", "niqe"):
        assert COMPONENTS[name].metadata.protocol in text


@pytest.mark.parametrize("name", ["psnr", "ssim", "random-features"])
class TestImageMetric(ImageMetricContract):
    @pytest.fixture(autouse=True)
    def _name(self, name: str) -> None:
        self.name = name

    def make(self) -> ImageMetric:
        metric: ImageMetric = choose("metrics", self.name).build()
        return metric
