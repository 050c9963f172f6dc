"""Searches: the lift of samplers to tasks, objectives, the Pareto front, strategies, executors.

`lift` is for whoever writes a strategy that asks and tells, `config` for a recipe that searches.
"""
