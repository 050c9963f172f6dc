"""The commands of super-resolution."""
