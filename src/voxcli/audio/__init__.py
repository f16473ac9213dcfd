"""A file, bytes or a callable -> float32 mono at the model's rate. `decode` is the way in."""
