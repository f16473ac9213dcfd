"""What is left of a run on disk."""
