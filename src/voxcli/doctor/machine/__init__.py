"""This machine and its plugins, probed in processes of their own where that may crash or hang."""
