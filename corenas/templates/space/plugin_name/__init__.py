"""A space of super-resolution networks for CoreNAS."""
