"""A pytest plugin for projects that test against voxcli."""
