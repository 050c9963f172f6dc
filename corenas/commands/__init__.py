"""The core's commands. Each imports what computes only when it is called.

A plugin's own commands use `output` to print, and the options that `describe` and `runs` define.
"""
