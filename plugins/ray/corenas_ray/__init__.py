"""Evaluation on many machines: an executor on Ray.

Components only; nothing here is meant to be imported.
"""
