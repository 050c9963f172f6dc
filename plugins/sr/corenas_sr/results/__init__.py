"""Measuring networks (`evaluation`) and reporting a finished run (`report`).

The layout of pictures is private.
"""
