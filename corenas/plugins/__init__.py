"""How plugins are found: hooks, descriptions of components, the registry."""
