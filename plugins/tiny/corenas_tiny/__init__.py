"""Tiny super-resolution networks: a space of what is best today, and the recipe ``tiny``.

`space` holds the operations, the network and the space ``tiny``; the recipe, its dry run and its
options stand here. Other plugins reach the components by name; modules with a leading underscore
may change at any time.
"""
