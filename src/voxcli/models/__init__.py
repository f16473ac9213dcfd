"""A checkpoint or sizes -> model, processor and limits, one family a file."""
