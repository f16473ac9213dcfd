"""The `vox` command, one file a sub-command: the only code that prints."""
