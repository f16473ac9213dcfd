"""What is learned, one task a file: features, collate, the loss as sum and count, predictions and their scores."""
