"""Stage two: the search for a discriminator, and the comparison."""
