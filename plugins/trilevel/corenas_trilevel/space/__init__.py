"""The search spaces: paths, cells and widths, the derived networks, and the supernet.

Read `paths`, `decisions` and `space` first. `derived` has the networks, `operations` their four
operations in both forms, `supernet` all networks in one, `relaxation` the points between
architectures, `counting` the paper's way of counting, `published` the paper's architectures and
results. The supernet's cost tables are private: `supernet.TrilevelSupernet.expected_cost`.
"""
