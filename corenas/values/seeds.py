"""Seeds by name: every stream of random numbers has one of its own."""

from __future__ import annotations

import hashlib
import json


def derive_seed(seed: int, *names: str) -> int:
    """Return the seed of what the names stand for, such as ``"train-x2", "weights"``.

    It is a hash of the seed and the names, of 63 bits. Other names give another stream of random
    numbers; the same names give the same one on every machine.
    """
    text = json.dumps([seed, *names])
    # One bit less than the digest gives: torch takes seeds of 64 bits with a sign.
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1
