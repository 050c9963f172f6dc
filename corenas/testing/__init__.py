"""Contracts that implementations are tested against, for this project and for plugins."""
