"""Commands of transformers' example scripts in, recipes and what was mended out.

Reading order: command (what was asked), arguments (the names the scripts have), imported (what comes out), shared and
training (what the scripts have in common), then one file a script: ctc, seq2seq, classification, pretraining; recipes
puts it together.
"""
