"""The peak memory of training and evaluation, predicted without the device and without the weights.

A `Setup` (what a recipe says) and a `Shape` (how large a batch is) come in; bytes come out. The step itself runs, on
tensors that have shapes and no storage (`step`), so that families and tasks of plugins are predicted without code of
theirs.
"""
