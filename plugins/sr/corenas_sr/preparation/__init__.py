"""What a person does with images before a run: check, prepare, fetch."""
