"""The search space: paths, cells and widths, and the networks derived from them."""
