"""Pre-training on audio alone: which frames are hidden, the loss that they give, and the parts of a model it takes."""
