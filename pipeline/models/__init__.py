"""The encoder, its text vectors, the classifier network with its adapters, and the model bundle."""
