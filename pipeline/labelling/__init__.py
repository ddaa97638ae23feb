"""Choosing rows to label, tasks for Label Studio, and the intake of new texts, labels and corrections."""
