"""Attributions as people read them: words marked in their text, on an HTML page or in a terminal."""

NAMES = {"integrated_gradients": "integrated gradients", "rollout": "attention rollout", "lime": "LIME"}
