"""Where utterances come from, one source a file: a table, a release, a folder, the hub, the shipped prompts."""
