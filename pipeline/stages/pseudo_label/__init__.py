"""Pseudo-labels: a teacher trained on the few labels labels the pool, in rounds, and says how sure it is."""

from pipeline.stages.pseudo_label.run import run

__all__ = ["run"]
