from corenas.testing.installed import install_plugin

__all__ = ["install_plugin"]
