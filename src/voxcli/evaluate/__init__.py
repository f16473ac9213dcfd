"""Checkpoint + split -> scores and a file with every utterance.

align       one reference and one hypothesis -> counts and alignment
bootstrap   counts of all utterances -> how far the rate would move with another sample
scores      utterances one by one -> totals, breakdowns, worst utterances, confusions
predict     model + table -> transcripts, batched by duration; training uses it too
report      scores -> the lines a person reads
run         all of it, for `vox evaluate`
target      what `--data` and the checkpoint name -> the utterances of a split
"""
