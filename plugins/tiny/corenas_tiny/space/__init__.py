"""The space ``tiny``: its options, operations, network and diagrams.

Read `space` and `network` first. `convolutions` and `attention` have the operations, `parts` what
several of them need; `supernet` all networks in one. All modules are public.
"""
