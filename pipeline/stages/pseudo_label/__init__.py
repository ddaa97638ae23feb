"""Pseudo-labels: a teacher that is trained on the few labels labels the pool in rounds of self-training."""

from pipeline.stages.pseudo_label.run import run

__all__ = ["run"]
