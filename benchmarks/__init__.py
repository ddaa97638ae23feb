"""Measurements against peers, on the same data, in the same run; what they gave is in LOG.md and results/."""
