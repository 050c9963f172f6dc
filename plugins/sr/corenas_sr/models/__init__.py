"""Networks: by name, in files, other people's, their costs, and what they make of an image."""
