"""Mitigation of group gaps: row weights and class offsets. Groups are used to choose them, never as a model input."""
