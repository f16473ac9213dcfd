"""Transcripts: the rules before learning, the rules before scoring, and the characters a CTC model can say."""
