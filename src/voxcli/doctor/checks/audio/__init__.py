"""Checks of the recordings themselves."""
