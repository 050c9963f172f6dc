"""The search in a supernet of any space: one loop, one step.

`strategy` is the way in. `search` is the task: phases, each with `step` in the training loop, and
then perhaps a `ranking`. `terms` is what an architecture pays for; `estimate` times a few steps.
"""
