"""Diagrams and plots: graphs laid out and drawn as SVG and PNG, and how a search went.

`diagrams` draws graphs of the `parts` that a space names, `plots` draws trials, and `figures` has
what all pictures share. How a graph is layered, laid out and painted is private.
"""
