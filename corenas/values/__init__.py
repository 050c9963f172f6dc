"""What the framework trades in: immutable values, JSON both ways. Everything may import it."""
