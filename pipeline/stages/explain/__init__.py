"""Explanations: the words behind the surest errors, how far each method can be trusted, and what drives each class.

    python -m pipeline.stages.explain

Reads the training tables, data/ingest/test.parquet, data/export/bundle, data/evaluate/predictions.parquet and
data/pretrain/encoder; writes attributions.parquet, errors.parquet, neighbours.parquet, faithfulness.csv, classes.csv,
map.parquet, map.png, why.html and metrics.json to data/explain. Only why.html, classes.csv and attributions.parquet
hold words of the texts; the report takes nothing from these three.
"""

from pipeline.stages.explain.run import run

__all__ = ["run"]
