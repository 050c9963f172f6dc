"""A recipe for CoreNAS."""
