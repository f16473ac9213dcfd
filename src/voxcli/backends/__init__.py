"""The training loop: ours, and the transformers Trainer."""
