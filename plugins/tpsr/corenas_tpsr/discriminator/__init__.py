"""Discriminators: their search space (`space`), its options, and SRGAN's as a baseline (`srgan`).

`space.Discriminator` is the base of both. The drawing is private.
"""
