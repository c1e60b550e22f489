"""What a model is, as data and short programs."""
