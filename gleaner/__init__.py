"""Gleaner for Python code: the one name that others import."""
