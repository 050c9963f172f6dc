"""Fixtures that the core ships for everyone who tests a plugin."""

from corenas.testing.installed import install_plugin

__all__ = ["install_plugin"]
