"""Stages run outside DVC: ablation, and the simulated month of nights."""
