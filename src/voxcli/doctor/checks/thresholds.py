"""Every figure that a check compares with, and where it comes from. Nothing else: no code.

Units stand in the names or right behind the value: s, Hz, bytes, shares between 0 and 1.
"""

from __future__ import annotations

# ------------------------------------------------------------------------------------------------------------- machine

# ------------------------------------------------------------------------------------------------------------- plugins

# -------------------------------------------------------------------------------------------------------------- recipe

LONGEST_WARMUP = 0.5
"""Share of a run. Schedules in print warm up for 1 to 30 % of it (wav2vec 2.0: 8 to 10 %, arXiv 2006.11477, A.2)."""
USUAL_WARMUP = 0.1
"""Share of a run: the default of `[train] warmup_steps`."""

# ---------------------------------------------------------------------------------------------------------------- data

# --------------------------------------------------------------------------------------------------------------- audio

# -------------------------------------------------------------------------------------------------------------- memory

SMALL_MODEL = 100_000
"""Parameters. With SMALL_BATCH and ROOMY_DEVICE: a step that is not traced, because it fits."""
SMALL_BATCH = 60.0
"""s of padded audio. Measured here with a wav2vec 2.0 of 83,000 parameters and a Whisper of 163,000: batches of 60 s
need at most 3.4 GiB (one clip of 60 s), evaluation batches of 120 s 1.5 GiB, Python's own 0.4 GiB included."""
ROOMY_DEVICE = 4 * 2**30
"""Bytes: more than a small model needs with a small batch."""

# ----------------------------------------------------------------------------------------------------------------- run

# ---------------------------------------------------------------------------------------------------------- checkpoint
