"""What is known of the metric without computing; this module imports no torch."""

from __future__ import annotations

from corenas_sr.metric import MetricInfo

INFO = MetricInfo(
    "lower",
    reference="full",
    range="0 to 255",
    protocol="mean absolute error of RGB values, whole image",
)
"""In which direction it is good, what it needs, and how exactly it measures."""
