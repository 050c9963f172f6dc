"""One job in one folder: the only loop, journal, checkpoints, launch."""
