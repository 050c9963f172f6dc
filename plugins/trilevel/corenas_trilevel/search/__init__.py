"""The search by gradients over path, operations and widths: the strategy ``trilevel``.

`strategy` is the way in, `config` has the options, `sparsestmax` the function that makes weights of
logits, `plots` the pictures of a search. Logits, penalties and training steps are private.
"""
