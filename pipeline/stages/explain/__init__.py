"""Why the model answers as it does: words that made its surest errors, how far the methods can be trusted, its classes.

    python -m pipeline.stages.explain

Reads the training tables, data/ingest/test.parquet, data/export/bundle, data/evaluate/predictions.parquet and
data/pretrain/encoder; writes attributions.parquet, errors.parquet, neighbours.parquet, faithfulness.csv, classes.csv,
map.parquet, map.png, why.html and metrics.json to data/explain. Only why.html, classes.csv and attributions.parquet
hold words of the texts; what the report takes from here does not.
"""

from pipeline.stages.explain.run import run

__all__ = ["run"]
