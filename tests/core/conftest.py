"""Fixtures: plugins that are installed for the length of a test."""

from __future__ import annotations

from corenas.testing.installed import install_plugin

__all__ = ["install_plugin"]
