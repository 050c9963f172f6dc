"""A plugin for CoreNAS, as somebody else would write it."""
