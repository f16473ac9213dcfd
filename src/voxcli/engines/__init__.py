"""Audio -> transcript: one runtime a file.

transformers   the trained model as it is
batching       clips into batches of bounded length; evaluation and training use it too
"""
