"""Generators: their search space, its operations, and the proxy task that evaluates one.

Read `space` and `network` first. `operations` has the sixteen operations and seven reductions,
`supernet` all generators in one, `weight_cache` the best weights of Eq. 5, `proxy` the evaluator
``tpsr-proxy``, `diagrams` the drawing. All modules are public: discriminators are built from the
same operations.
"""
