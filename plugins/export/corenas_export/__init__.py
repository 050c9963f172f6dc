"""Networks in formats of devices and runtimes, each checked against torch before it is handed over.

Read `format` and `exporting` first. A format is a component of the kind ``export_formats``.
"""
