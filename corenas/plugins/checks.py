"""What ``corenas doctor`` found out about a machine."""

from __future__ import annotations

from attrs import frozen


@frozen
class Check:
    """One line of ``corenas doctor``.

    Args:
        name: What was looked at.
        found: What it was like.
        ok: False where a run that needs it would fail.
    """

    name: str
    found: str
    ok: bool = True
