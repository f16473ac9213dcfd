"""The utterances of a recipe, a manifest or a folder, and what checks compute of them."""
