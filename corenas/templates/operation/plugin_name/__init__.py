"""An operation for CoreNAS."""
