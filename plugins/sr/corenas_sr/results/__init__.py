"""Measuring networks (`evaluation`) and reporting a finished run (`report`, `comparing`).

The layout of pictures is private.
"""
