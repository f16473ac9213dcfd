"""A recipe becomes a run: loading, folder, checkpoints, exact resume, and the guard that names what broke it."""
