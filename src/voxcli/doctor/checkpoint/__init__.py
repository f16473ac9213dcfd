"""The folder of a trained model, its files and its weights."""
