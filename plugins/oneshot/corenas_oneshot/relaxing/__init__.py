"""From logits to points between architectures: one relaxation for each kind of decision.

`sparsestmax` has the functions on the simplex, `draws` those that choose one option at random,
`relaxing` what a kind of decision is relaxed by, `logits` the architecture as a search learns it.
"""
