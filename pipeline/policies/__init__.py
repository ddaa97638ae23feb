"""Decisions as pure functions: the gate, whether a night trains, drift, and promotion."""
