"""Searches: the lift of samplers to tasks, objectives, the Pareto front, strategies, executors."""
