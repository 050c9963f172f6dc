"""The captured update: equal to the plain one, and plain where it cannot be captured."""

import pytest
import torch
from torch import nn

from corenas.training._cuda_graph import WARM_UP, CapturedUpdate
from corenas.training.networks import seeded
from corenas_sr.config import PixelTrainingConfig
from corenas_sr.data.datasets import ImagePair
from corenas_sr.training.pixel import pixel_training


def test_where_capturing_fails_every_update_runs_plainly(monkeypatch):
    done = []

    def update(low, high):
        done.append(float(low.sum()))
        return low.sum()

    captured = CapturedUpdate(update, torch.device("cpu"))
    monkeypatch.setattr(captured, "_on_side_stream", update)

    def impossible():
        raise RuntimeError("operation not permitted when stream is capturing")

    monkeypatch.setattr("corenas.training._cuda_graph.torch.cuda.CUDAGraph", object)
    monkeypatch.setattr("corenas.training._cuda_graph.torch.cuda.graph", lambda graph: impossible())
    values = [2.0 * number for number in range(WARM_UP + 3)]
    with pytest.warns(UserWarning, match="without a CUDA graph: operation not permitted"):
        losses = [captured(torch.full((2,), value / 2), torch.zeros(2)) for value in values]
    assert [float(loss) for loss in losses] == values
    assert done == values


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_training_with_a_graph_equals_training_without(monkeypatch):
    generator = torch.Generator().manual_seed(0)
    low = torch.randint(0, 256, (3, 20, 20), generator=generator, dtype=torch.uint8)
    pairs = [ImagePair("a", low, low.repeat_interleave(2, 1).repeat_interleave(2, 2))]
    config = PixelTrainingConfig(steps=30, batch=4, patch=8, learning_rate=1e-3, report_every=10)

    def losses():
        with seeded(0):
            model = nn.Sequential(nn.Conv2d(3, 12, 3, padding=1), nn.PixelShuffle(2))
        task = pixel_training(model, pairs, config, scale=2, seed=0, device="cuda")
        return [event.scalars["loss"] for event in task.events()]

    captured = losses()
    monkeypatch.setattr(CapturedUpdate, "_try_to_capture", lambda self, low, high: False)
    assert captured == pytest.approx(losses(), rel=1e-3)
