"""The search by gradients over path, operations and widths: the strategy ``trilevel``.

`strategy` is the way in: it configures the search of `corenas_oneshot`. `config` has the options,
`plots` the pictures of a search. The terms that an architecture pays for are private.
"""
