"""Checks of this machine and what is installed on it."""
