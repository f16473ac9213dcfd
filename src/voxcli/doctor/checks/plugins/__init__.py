"""Checks of the plugins that are installed."""
