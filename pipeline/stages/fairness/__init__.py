"""Fairness: how evenly the model serves groups of people, and what augmentation did to their rows.

    python -m pipeline.stages.fairness

Reads data/ingest/{train,test}.parquet, data/evaluate/predictions.parquet, data/export/bundle, data/identity_terms and
the rows of synonyms and back_translate; writes groups.csv, groups.png, auc.csv, augmentations.csv and
metrics.json to data/fairness.
"""

from pipeline.stages.fairness.run import run

__all__ = ["run"]
