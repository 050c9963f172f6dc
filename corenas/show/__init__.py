"""What a run shows while it works, and how far it is.

`reporter` shows a run, on a screen or in lines; `progress` is what both are told from, and how
numbers are written; `progress_bar` is for work outside runs. The live screen is private.
"""
