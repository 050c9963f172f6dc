"""What the framework trades in: immutable values, JSON both ways.

Every module here is public, and everything may import it; it imports nothing but errors and names.
"""
