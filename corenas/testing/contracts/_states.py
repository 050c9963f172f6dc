"""How contracts look at a component's state and at the global random numbers."""

from __future__ import annotations

import io
import pickle
import random
from typing import Any

import numpy as np
import torch

from corenas.values.result import State


def reloaded(state: State) -> State:
    """Return the state as a checkpoint gives it back; it fails where a state holds more than data.

    Allowed are tensors, numbers, strings, None, dicts, lists and tuples.
    """
    buffer = io.BytesIO()
    torch.save(state, buffer)
    buffer.seek(0)
    loaded: State = torch.load(buffer, weights_only=True)
    return loaded


def same(first: Any, second: Any) -> bool:
    """Return whether two states hold the same values; tensors bit for bit."""
    if isinstance(first, torch.Tensor):
        return isinstance(second, torch.Tensor) and torch.equal(first, second)
    if isinstance(first, dict):
        return first.keys() == second.keys() and all(same(first[k], second[k]) for k in first)
    if isinstance(first, list | tuple):
        return len(first) == len(second) and all(map(same, first, second))
    return bool(first == second)


def global_random_states() -> tuple[Any, ...]:
    """Return what must not change when a component draws from its own random state."""
    return random.getstate(), pickle.dumps(np.random.get_state()), torch.get_rng_state().tolist()
