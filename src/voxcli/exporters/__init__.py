"""A checkpoint -> another format: one format a file.

merged   one ordinary model: an adapter is merged into its base
"""
