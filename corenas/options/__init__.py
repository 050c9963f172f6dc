"""Options of recipes and components: declared, built from layers of values, written as TOML."""
