"""A network as readable source text that needs torch alone."""
