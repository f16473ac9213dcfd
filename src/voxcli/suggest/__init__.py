"""What to begin with: a task, a language, hours of data and a GPU in; families and checkpoints with reasons out.

Nothing is looked up: catalogue (what is known of checkpoints), footprint (about how much memory training takes),
ranking.
"""
