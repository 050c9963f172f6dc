"""The search space of generators, its operations, and the proxy task."""
