"""An image metric for CoreNAS."""
