"""Checks of what a run needs of a device, and how quick it is."""
