"""Shuffled batches: every pass has every example once, and a restored stream goes on alike."""

from __future__ import annotations

import pytest
import torch

from corenas.errors import DataError
from corenas.training.batches import ShuffledBatches

INPUTS = torch.arange(10.0)


def stream(seed: int = 0, batch: int = 4) -> ShuffledBatches:
    return ShuffledBatches(INPUTS, 10 * INPUTS, batch=batch, seed=seed)


@pytest.mark.parametrize("batch", [1, 4, 10, 25])
def test_every_pass_has_every_example_once_with_its_target(batch: int) -> None:
    batches = stream(batch=batch)
    drawn = [batches.next_batch() for _ in range(10)]
    assert all(len(inputs) == batch for inputs, _ in drawn)
    assert all(torch.equal(10 * inputs, targets) for inputs, targets in drawn)
    order = torch.cat([inputs for inputs, _ in drawn])
    passes = order[: len(order) // 10 * 10].reshape(-1, 10)
    assert torch.equal(passes.sort(dim=1).values, INPUTS.expand_as(passes))


def test_orders_depend_on_the_seed_and_change_with_each_pass() -> None:
    def order(seed: int) -> list[list[float]]:
        batches = stream(seed, batch=10)
        return [batches.next_batch()[0].tolist() for _ in range(2)]

    assert order(1) == order(1)
    assert order(1) != order(2)
    first, second = order(1)
    assert first != second


def test_restored_stream_goes_on_like_the_uninterrupted_one() -> None:
    batches, restored = stream(), stream(seed=9)
    batches.next_batch()
    restored.restore(batches.state())
    for _ in range(5):
        assert torch.equal(batches.next_batch()[0], restored.next_batch()[0])


@pytest.mark.parametrize(("inputs", "targets"), [(0, 0), (3, 2)])
def test_examples_without_their_targets_are_refused(inputs: int, targets: int) -> None:
    with pytest.raises(DataError, match="as many inputs as targets"):
        ShuffledBatches(torch.zeros(inputs), torch.zeros(targets), batch=2, seed=0)
