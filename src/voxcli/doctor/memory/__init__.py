"""What a run needs of a device and of a disk."""
