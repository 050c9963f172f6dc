"""One-shot search: weights and architecture learnt together in one supernet.

`relaxing` makes points on the simplex of logits, `search` trains a supernet of any space by them.
Read `search.strategy` first. All modules but those that begin with an underscore are public.
"""
