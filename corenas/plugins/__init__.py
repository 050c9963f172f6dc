"""How plugins are found: hooks, descriptions of what they offer, the registry.

Plugins meet `hookspecs` and `registry`; how a plugin is asked and checked is private.
"""
