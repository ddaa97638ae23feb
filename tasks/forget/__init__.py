"""Forgets rows of a person: found in every place that keeps texts, and removed there."""
