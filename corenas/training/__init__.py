"""The one training loop, what it drives, and tasks done one after the other."""
