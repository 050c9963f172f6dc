"""Samplers of Optuna as strategies over any space, and runs mirrored into Optuna's storages.

`strategy` lifts the samplers `config` has options for; `storage` is the tracker. Optuna is
imported when one of them is built, never when the plugin is found. Modules with a leading
underscore may change at any time.
"""
