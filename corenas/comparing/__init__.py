"""Runs beside each other: ``corenas compare``.

`reading` takes in run folders, `settings` finds what they were told differently, `statistics` has
the mathematics, `fronts` and `comparison` put it together, and `tables` and `page` show it.
"""
