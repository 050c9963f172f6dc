"""Options of recipes and components: declared, built from layers of values, written as TOML.

`declaring` describes one option and is light enough for every plugin module; `structuring` adds
sections and components and builds instances; `toml` reads and writes them.
"""
