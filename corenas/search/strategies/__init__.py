"""Strategies without a model of the space: baselines for every other one. They are built by name.

A strategy of your own may draw as `random` does.
"""
