"""Trilevel search with a sparsestmax supernet (Wu et al., arXiv:2101.06658).

Rooms: ``space`` holds the search spaces, their networks and their supernet, ``search`` the strategy
``trilevel``, ``teacher`` the images that networks learn from. Here stand the recipe ``trilevel``
(`recipe`), its dry run and its options (`config`). Imports point one way: ``search`` uses
``teacher`` and ``space``, ``teacher`` uses ``space``. Modules with a leading underscore may change
at any time.
"""
