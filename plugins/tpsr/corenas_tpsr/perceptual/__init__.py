"""Stage two of TPSR: the search for a discriminator, and the comparison with known ones.

`stage` runs it, `proxy` has the evaluator ``tpsr-adversarial``, `full_task` the trainings that are
compared, `dry_run` the estimates, `config` the options. The report of the comparison is private.
"""
