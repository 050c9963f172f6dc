"""Trilevel search with a sparsestmax supernet (Wu et al., arXiv:2101.06658)."""
