"""How plugins are found: hooks, descriptions of what they offer, the registry.

Plugins import `hookspecs`, and `registry` where they look something up by name. How a plugin is
asked and checked is private.
"""
