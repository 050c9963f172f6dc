"""Runs shown elsewhere while they work: ``--track NAME``.

`tracker` is what a plugin implements, `choosing` reads the command line, `session` follows a run,
and `tables` is the tracker ``csv``. The journal is the queue: a tracker's thread reads it, as far
as a checkpoint proves it, and the run waits for nobody.
"""
