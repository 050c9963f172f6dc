"""Networks between two others."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.optim.swa_utils import AveragedModel

from corenas.training.networks import interpolated, seeded


def network(seed: int, width: int = 4) -> nn.Module:
    with seeded(seed):
        return nn.Sequential(nn.Conv2d(3, width, 3), nn.BatchNorm2d(width), nn.PReLU())


def test_middle_is_the_average_of_both() -> None:
    """The oracle is torch's own average of models."""
    first, second = network(0), network(1)
    averaged = AveragedModel(first, use_buffers=True)
    averaged.update_parameters(first)
    averaged.update_parameters(second)
    found = interpolated(first, second, 0.5).state_dict()
    for name, tensor in averaged.module.state_dict().items():
        torch.testing.assert_close(found[name], tensor)


def test_ends_are_the_networks_themselves_and_stay_as_they_are() -> None:
    first, second = network(0), network(1)
    second(torch.rand(2, 3, 5, 5))  # which counts a batch
    before = [{n: t.clone() for n, t in each.state_dict().items()} for each in (first, second)]
    for share, expected in zip((0.0, 1.0), before, strict=True):
        found = interpolated(first, second, share).state_dict()
        for name, tensor in expected.items():
            if tensor.is_floating_point():
                assert torch.equal(found[name], tensor)
        assert int(found["1.num_batches_tracked"]) == 1
    for each, kept in zip((first, second), before, strict=True):
        assert all(torch.equal(t, kept[n]) for n, t in each.state_dict().items())


@pytest.mark.parametrize("share", [-0.1, 1.1, float("nan")])
def test_shares_outside_are_refused(share: float) -> None:
    with pytest.raises(ValueError, match="expected a number from 0 to 1"):
        interpolated(network(0), network(1), share)


def test_other_shapes_are_refused() -> None:
    with pytest.raises(ValueError, match="other names or shapes"):
        interpolated(network(0), network(1, width=5), 0.5)
