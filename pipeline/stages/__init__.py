"""Exactly what dvc.yaml runs: a stage is a file or a folder here, a section of params.yaml, and a folder in data/."""
