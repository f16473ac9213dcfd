"""A run -> a model in another format, with the proof that it is the same model.

run        locate, export beside the place, check, rename
folder     a new folder that is whole or not there
probe      which utterances the two are compared on
original   the model as it was trained: its adapter unmerged, its base rounded
check      logits and transcripts of both
parity     transcripts or classes of the checkpoint and of what an engine runs
origin     what an exported folder says of itself
weights    which files a checkpoint's weights are, to know an export that is stale
ready      the export that an engine opens, found or made
report     the lines a person reads, and the JSON
"""
