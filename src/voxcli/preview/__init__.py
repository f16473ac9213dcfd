"""What a recipe's augmentations make of an utterance: the very samples of an epoch, what each did, and a picture."""
