"""How long a forward pass takes, by engines that are components of a kind of their own."""
