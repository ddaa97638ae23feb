"""The encoder, its vectors, the network with its adapters, and the exported bundle."""
