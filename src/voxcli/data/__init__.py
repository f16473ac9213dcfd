"""Data sets -> an index on disk -> filtered splits -> batches by duration -> collated tensors."""
