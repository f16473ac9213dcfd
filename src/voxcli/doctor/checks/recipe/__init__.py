"""Checks of a recipe and the config of its model, nothing read beside."""
