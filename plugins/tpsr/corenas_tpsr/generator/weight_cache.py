"""The best weights of each operation at each node (Eq. 5 of Lee et al., arXiv:2007.04356).

Weights are those of a generator's state dict. The names of node i begin with ``nodes.{i - 1}.``,
and its operation is the decision ``op_i``. All other names belong to parts that are not searched.

Note:
    Eq. 5 is about nodes. The other parts (head, merge, up-sampler) are cached as one more entry by
    the same rule, because the cached nodes were trained together with them.
"""

from __future__ import annotations

import math
import re
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import safetensors
import safetensors.torch
from attrs import field, frozen
from torch import Tensor

from corenas.errors import DataError
from corenas.files import atomic_write
from corenas.values.architecture import Architecture
from corenas.values.result import State

Key = tuple[int, str]
"""Node (from 1) and operation."""

FIXED: Key = (0, "")
"""The key of the parts that are not searched."""

# Node numbers begin at 0 in a state dict, at 1 in the paper and in decisions.
_NODE = re.compile(r"nodes\.(\d+)\.")


@frozen
class Entry:
    """Tensors by name, never changed in place, and the score of the trial that trained them."""

    tensors: Mapping[str, Tensor] = field(factory=dict)
    score: float = -math.inf


@frozen
class Best:
    """The best trial so far with all of its own weights."""

    architecture: Architecture
    entry: Entry


class WeightCache:
    """Keeps the weights that candidates start from, and replaces those that score worse.

    Sources are not part of a key: Eq. 5 gives a node the same weights whatever it reads.

    Args:
        cache_fixed: Keep the parts that are not searched as well; False is Eq. 5 to the letter.
    """

    def __init__(self, *, cache_fixed: bool = True) -> None:
        self._cache_fixed = cache_fixed
        self._entries: dict[Key, Entry] = {}
        self.best: Best | None = None

    def warm(self, architecture: Architecture) -> dict[str, Tensor]:
        """Return the cached weights of an architecture's nodes; what was never trained is missing.

        Later updates do not change the returned tensors. The merge slope may be among them, though
        a network with a single leaf has none.
        """
        weights: dict[str, Tensor] = {}
        for key in [FIXED, *_keys(architecture)]:
            weights.update(self._entries.get(key, Entry()).tensors)
        return weights

    def update(
        self, architecture: Architecture, tensors: Mapping[str, Tensor], score: float
    ) -> None:
        """Keep copies of what a trial trained, where its score is strictly the highest so far.

        Trials may come in any order: each is compared with what the cache holds now.

        Raises:
            ValueError: The score is not finite, the tensors are of other nodes than the
                architecture's, or they have another shape than the cached ones. Nothing changes.
        """
        if not math.isfinite(score):
            raise ValueError(f"cached weights need a finite score, got {score}")
        copies = {name: tensor.detach().clone() for name, tensor in tensors.items()}
        parts = _split_by_key(architecture, copies)
        if not self._cache_fixed:
            parts.pop(FIXED, None)
        # All is checked before anything is stored: a trial is taken over as a whole or not at all.
        known = {key: self._entries.get(key, Entry()) for key in parts}
        for key, part in parts.items():
            _check_shapes(known[key].tensors, part)
        for key, part in parts.items():
            if score > known[key].score:
                # A network without a merge slope leaves the cached one as it is.
                self._entries[key] = Entry({**known[key].tensors, **part}, score)
        if self.best is None or score > self.best.entry.score:
            self.best = Best(architecture, Entry(copies, score))

    def state(self) -> State:
        """Return entries and best trial; a tensor that belongs to both is one object."""
        return {
            "entries": [
                {"node": node, "operation": operation, **_entry_state(entry)}
                for (node, operation), entry in self._entries.items()
            ],
            "best": self.best
            and {
                "architecture": self.best.architecture.to_json(),
                **_entry_state(self.best.entry),
            },
        }

    def restore(self, state: State) -> None:
        """Continue from a state."""
        self._entries = {
            (value["node"], value["operation"]): Entry(value["tensors"], value["score"])
            for value in state["entries"]
        }
        best = state["best"]
        self.best = best and Best(
            Architecture.from_json(best["architecture"]), Entry(best["tensors"], best["score"])
        )

    def save(self, folder: Path) -> Mapping[str, str]:
        """Write the cache, for `read_weights`, and the best trial's own weights into ``folder``.

        The best trial's weights are kept apart, because later trials may replace parts of them in
        the cache.

        Returns:
            The files' names as ``cache`` and ``best``; nothing before the first update.
        """
        if self.best is None:
            return {}
        cached = {
            f"{name}@{operation}" if operation else name: tensor
            for (_, operation), entry in self._entries.items()
            for name, tensor in entry.tensors.items()
        }
        files = {"cache": "weight-cache.safetensors", "best": "search-best.safetensors"}
        _write(folder / files["cache"], cached)
        _write(folder / files["best"], self.best.entry.tensors)
        return files


def read_weights(path: Path, architecture: Architecture) -> dict[str, Tensor]:
    """Return what `WeightCache.warm` returns, from the file ``cache`` that it saved.

    Raises:
        DataError: The file cannot be read.
    """
    try:
        cached = safetensors.torch.load_file(path)
    except (OSError, safetensors.SafetensorError) as error:
        raise DataError(f"{path}: no readable weight cache: {error}") from error
    wanted = {f"nodes.{node - 1}.": operation for node, operation in _keys(architecture)}
    weights = {}
    for key, tensor in cached.items():
        name, _, operation = key.partition("@")
        match = _NODE.match(name)
        if match is None or wanted.get(match[0]) == operation:
            weights[name] = tensor
    return weights


def _keys(architecture: Architecture) -> list[Key]:
    return [
        (int(decision.removeprefix("op_")), operation)
        for decision, operation in architecture.choices
        if decision.startswith("op_")
    ]


def _split_by_key(
    architecture: Architecture, tensors: Mapping[str, Tensor]
) -> dict[Key, dict[str, Tensor]]:
    """Divide a state dict by key."""
    keys = {node: (node, operation) for node, operation in _keys(architecture)}
    parts: defaultdict[Key, dict[str, Tensor]] = defaultdict(dict)
    for name, tensor in tensors.items():
        match = _NODE.match(name)
        key = keys.get(int(match[1]) + 1) if match else FIXED
        if key is None:
            raise ValueError(f"{name}: the architecture has {len(keys)} nodes")
        parts[key][name] = tensor
    return dict(parts)


def _check_shapes(cached: Mapping[str, Tensor], tensors: Mapping[str, Tensor]) -> None:
    for name in cached.keys() & tensors.keys():
        if cached[name].shape != tensors[name].shape:
            raise ValueError(
                f"{name}: shape {tuple(tensors[name].shape)}, "
                f"but the cached one has {tuple(cached[name].shape)}"
            )


def _entry_state(entry: Entry) -> dict[str, Any]:
    return {"tensors": dict(entry.tensors), "score": entry.score}


def _write(path: Path, tensors: Mapping[str, Tensor]) -> None:
    with atomic_write(path) as file:
        file.write(safetensors.torch.save({n: t.contiguous() for n, t in tensors.items()}))
