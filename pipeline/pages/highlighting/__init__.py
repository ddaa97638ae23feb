"""Explained texts for people: each text with its words marked, on an HTML page or in a terminal."""

METHOD_NAMES = {"integrated_gradients": "integrated gradients", "rollout": "attention rollout", "lime": "LIME"}
