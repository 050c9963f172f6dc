"""What came out: measurements, pictures, the report of a run."""
