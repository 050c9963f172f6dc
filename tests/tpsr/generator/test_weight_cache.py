from __future__ import annotations

import io
import math
from pathlib import Path

import pytest
import torch
from torch import Tensor

from corenas.errors import DataError
from corenas.testing.contracts import reloaded
from corenas.values.architecture import Architecture
from corenas_tpsr.generator.weight_cache import WeightCache, read_weights

Weights = dict[str, Tensor]


def architecture(*operations: str, source: str = "0") -> Architecture:
    choices = {}
    for node, operation in enumerate(operations, start=1):
        choices |= {f"op_{node}": operation, f"in_{node}": source}
    return Architecture("tpsr-generator", choices)


def weights(value: float, *, nodes: int = 2, merge: bool = True, channels: int = 3) -> Weights:
    """Return tensors that all hold ``value``, so that one sees which trial they come from."""
    names = ["head.weight", "up1.weight", *(["merge.weight"] if merge else [])]
    for node in range(nodes):
        names += [f"nodes.{node}.0.weight", f"nodes.{node}.1.weight"]
    return {name: torch.full((channels,), float(value)) for name in names}


def values(tensors: Weights) -> dict[str, float]:
    return {name: tensor[0].item() for name, tensor in tensors.items()}


def origin(cache: WeightCache, *operations: str) -> list[float | None]:
    """Return which trial the first weight of each node comes from."""
    warm = values(cache.warm(architecture(*operations)))
    return [warm.get(f"nodes.{node}.0.weight") for node in range(len(operations))]


def test_cache_is_empty_at_first() -> None:
    cache = WeightCache()
    assert cache.warm(architecture("conv3", "conv5")) == {}
    assert cache.best is None


def test_slopes_are_kept_with_their_node() -> None:
    cache = WeightCache(cache_fixed=False)
    cache.update(architecture("conv3", "conv5"), weights(1), 36.0)
    assert values(cache.warm(architecture("conv3", "se"))) == {
        "nodes.0.0.weight": 1,
        "nodes.0.1.weight": 1,
    }


def test_sources_do_not_matter_to_the_key() -> None:
    cache = WeightCache()
    cache.update(architecture("conv3", "conv5"), weights(1), 36.0)
    other = architecture("conv3", "conv5", source="1")
    assert values(cache.warm(other)) == values(weights(1))


def test_better_score_replaces_and_an_equal_or_worse_one_does_not() -> None:
    cache = WeightCache()
    for value, score, kept in ((1, 36.0, 1), (2, 36.0, 1), (3, 35.9, 1), (4, 36.1, 4)):
        cache.update(architecture("conv3", "conv5"), weights(value), score)
        assert origin(cache, "conv3", "conv5") == [kept, kept]


def test_each_node_and_operation_has_its_own_best() -> None:
    cache = WeightCache()
    cache.update(architecture("conv3", "conv5"), weights(1), 36.0)
    cache.update(architecture("conv5", "conv5"), weights(2), 35.0)
    cache.update(architecture("conv3", "se"), weights(3), 37.0)
    assert origin(cache, "conv3", "conv5") == [3, 1]
    assert origin(cache, "conv5", "se") == [2, 3]
    assert origin(cache, "se", "conv3") == [None, None]


def test_trials_out_of_order_leave_the_same_cache_as_in_order() -> None:
    trials = [
        (architecture("conv3", "conv5"), weights(1), 36.0),
        (architecture("conv3", "se"), weights(2), 36.4),
        (architecture("conv5", "conv5"), weights(3), 36.2),
        (architecture("conv3", "conv5"), weights(4), 36.1),
    ]
    in_order, out_of_order = WeightCache(), WeightCache()
    for trial in trials:
        in_order.update(*trial)
    for index in (3, 1, 0, 2):
        out_of_order.update(*trials[index])
    assert origin(in_order, "conv3", "conv5") == [2, 3]
    for operations in (("conv3", "conv5"), ("conv5", "se")):
        candidate = architecture(*operations)
        assert values(in_order.warm(candidate)) == values(out_of_order.warm(candidate))


def test_late_trial_does_not_undo_what_came_between_its_start_and_its_end() -> None:
    cache = WeightCache()
    slow = architecture("conv3", "conv5")
    snapshot = cache.warm(slow)
    cache.update(architecture("conv3", "se"), weights(2), 36.4)
    assert snapshot == {}
    cache.update(slow, weights(1), 36.0)
    assert origin(cache, "conv3", "conv5") == [2, 1]
    assert values(cache.warm(slow))["head.weight"] == 2


def test_fixed_parts_follow_the_best_score_of_all() -> None:
    cache = WeightCache()
    for value, score, kept in ((1, 36.0, 1), (2, 35.0, 1), (3, 36.5, 3)):
        cache.update(architecture(f"op{value}", "conv5"), weights(value), score)
        assert values(cache.warm(architecture("new", "new"))) == {
            "head.weight": kept,
            "up1.weight": kept,
            "merge.weight": kept,
        }


def test_literal_equation_keeps_nodes_only() -> None:
    cache = WeightCache(cache_fixed=False)
    cache.update(architecture("conv3", "conv5"), weights(1), 36.0)
    assert all(name.startswith("nodes.") for name in cache.warm(architecture("conv3", "conv5")))
    assert cache.best is not None
    assert values(dict(cache.best.entry.tensors)) == values(weights(1))


def test_network_without_a_merge_slope_leaves_the_cached_one() -> None:
    cache = WeightCache()
    cache.update(architecture("conv3", "conv5"), weights(1, merge=False), 36.0)
    assert "merge.weight" not in cache.warm(architecture("conv3", "conv5"))
    cache.update(architecture("conv3", "conv5"), weights(2), 36.1)
    cache.update(architecture("conv3", "conv5"), weights(3, merge=False), 36.2)
    warm = values(cache.warm(architecture("conv3", "conv5")))
    assert (warm["head.weight"], warm["merge.weight"]) == (3, 2)


def test_cache_keeps_copies() -> None:
    cache = WeightCache()
    trained = weights(1)
    cache.update(architecture("conv3", "conv5"), trained, 36.0)
    for tensor in trained.values():
        tensor.fill_(9)
    snapshot = cache.warm(architecture("conv3", "conv5"))
    cache.update(architecture("conv3", "conv5"), weights(2), 36.5)
    assert set(values(snapshot).values()) == {1}


def test_weights_of_the_best_trial_stay_whole() -> None:
    cache = WeightCache()
    best = architecture("conv3", "conv5")
    cache.update(best, weights(1), 36.5)
    cache.update(architecture("conv5", "conv3"), weights(2), 36.4)
    cache.update(best, weights(3), 36.5)
    assert cache.best is not None
    assert cache.best.architecture == best
    assert cache.best.entry.score == 36.5
    assert values(dict(cache.best.entry.tensors)) == values(weights(1))


@pytest.mark.parametrize("score", [math.nan, math.inf, -math.inf])
def test_score_that_is_not_finite_is_refused(score: float) -> None:
    cache = WeightCache()
    with pytest.raises(ValueError, match="finite score"):
        cache.update(architecture("conv3", "conv5"), weights(1), score)
    assert cache.best is None


def test_weights_of_another_shape_are_refused_and_change_nothing() -> None:
    cache = WeightCache()
    cache.update(architecture("conv3", "conv5"), weights(1), 36.0)
    message = r"shape \(4,\), but the cached one has \(3,\)"
    with pytest.raises(ValueError, match=message):
        cache.update(architecture("se", "conv5"), weights(2, channels=4), 37.0)
    assert origin(cache, "se", "conv5") == [None, 1]
    assert cache.best is not None
    assert cache.best.entry.score == 36.0


def test_weights_of_other_nodes_are_refused() -> None:
    with pytest.raises(ValueError, match=r"nodes\.2\.0\.weight: the architecture has 2 nodes"):
        WeightCache().update(architecture("conv3", "conv5"), weights(1, nodes=3), 36.0)


def test_restored_cache_goes_on_like_the_uninterrupted_one() -> None:
    cache, restored = WeightCache(), WeightCache()
    assert reloaded(cache.state())["best"] is None
    cache.update(architecture("conv3", "conv5"), weights(1), 36.0)
    cache.update(architecture("conv3", "se"), weights(2), 36.4)
    restored.restore(reloaded(cache.state()))
    for each in (cache, restored):
        each.update(architecture("conv5", "conv5"), weights(3), 36.2)
    for operations in (("conv3", "conv5"), ("conv5", "se")):
        candidate = architecture(*operations)
        assert values(cache.warm(candidate)) == values(restored.warm(candidate))
    assert restored.best is not None
    assert restored.best.architecture == architecture("conv3", "se")
    assert values(dict(restored.best.entry.tensors)) == values(weights(2))


def test_tensors_of_the_best_trial_are_not_saved_twice() -> None:
    cache = WeightCache()
    cache.update(architecture("conv3", "conv5"), weights(1, channels=10_000), 36.0)
    buffer = io.BytesIO()
    torch.save(cache.state(), buffer)
    assert buffer.tell() < 1.1 * 4 * 10_000 * len(weights(1))


def test_saved_cache_gives_what_the_cache_gave(tmp_path: Path) -> None:
    cache = WeightCache()
    assert cache.save(tmp_path) == {}
    cache.update(architecture("conv3", "conv5"), weights(1), 36.0)
    cache.update(architecture("conv5", "conv5"), weights(2), 36.4)
    files = cache.save(tmp_path)
    for operations in (("conv3", "conv5"), ("conv5", "se"), ("se", "ca")):
        candidate = architecture(*operations)
        read = read_weights(tmp_path / files["cache"], candidate)
        assert values(read) == values(cache.warm(candidate))
    assert (tmp_path / files["best"]).is_file()


def test_file_that_is_no_cache_is_named(tmp_path: Path) -> None:
    path = tmp_path / "weight-cache.safetensors"
    with pytest.raises(DataError, match=r"weight-cache\.safetensors: no readable weight cache"):
        read_weights(path, architecture("conv3"))
    path.write_bytes(b"nonsense")
    with pytest.raises(DataError, match=r"weight-cache\.safetensors: no readable weight cache"):
        read_weights(path, architecture("conv3"))
