"""A search strategy for CoreNAS."""
