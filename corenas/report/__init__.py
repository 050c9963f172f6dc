"""A run's report: one HTML file that needs no network.

`record` is what a folder tells, `sections` what a plugin adds, `page` makes and writes the file.
What the page says and how it draws is private.
"""
