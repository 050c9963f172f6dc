"""Whose images a network learns to make."""
