"""Strategies without a model of the space: baselines for every other one."""
