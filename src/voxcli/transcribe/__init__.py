"""Files, folders, stdin -> txt, srt, vtt, tsv, json.

inputs      what was named on the command line -> the recordings it means
outputs     where each recording's files go, and writing them
reading     recordings -> their audio, some at a time, ahead of the model
run         recordings -> transcripts, batched
cues        segments -> subtitles of a readable size
formats     a transcript -> the text of a file
default     which model is meant when none is named
"""
