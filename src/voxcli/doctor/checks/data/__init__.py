"""Checks of the utterances of a recipe, by their table and headers."""
