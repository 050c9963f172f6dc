"""The search space of discriminators, and the published one."""
