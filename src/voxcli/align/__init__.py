"""Where in a recording its text is spoken, token by token.

file    alignments as a file of lines, by utterance
run     model + table -> that file, for `vox align`
"""
