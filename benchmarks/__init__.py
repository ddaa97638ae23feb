"""Benchmarks: measurements beside peers on the same data; their results are in LOG.md and results/."""
