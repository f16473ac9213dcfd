"""What `vox doctor` looks for: one file a check, its docstring is its documentation."""
