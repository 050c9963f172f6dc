"""How long a forward pass takes: engines that run networks, and tables of what their parts take."""
