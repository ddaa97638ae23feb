"""Stages run outside DVC: the ablation, and the simulated month of nights."""
