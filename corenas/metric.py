"""The costs of a candidate."""

from __future__ import annotations

COSTS = ("mult_adds", "params", "latency")
"""What evaluators call the costs of a candidate, in operations, numbers and seconds: lower is
better."""
