"""Recordings and a classifier -> classes, for `vox classify`.

run        recordings -> classifications, whole or window by window
formats    a result -> the lines of txt, tsv, json
"""
