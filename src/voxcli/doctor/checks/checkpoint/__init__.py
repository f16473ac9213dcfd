"""Checks of a folder with a trained model."""
