"""Recordings -> features in a file: log-mel, MFCC, spectrograms, hidden states and speaker embeddings of a model.

Read in this order: `presets` (what can be asked for), `spectral` and `embedding` (how it is computed), `sources` (what
was named), `files` (npz and parquet), `run`.
"""
