"""Checks of the log of a run, finished, crashed or running."""
