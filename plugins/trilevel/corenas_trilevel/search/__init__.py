"""One network of all architectures, relaxed by sparsestmax, and its search."""
