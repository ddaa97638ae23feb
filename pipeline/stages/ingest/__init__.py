"""Ingest: raw files, a database or a Hugging Face dataset become the tables that every later stage reads.

    python -m pipeline.stages.ingest

Reads the data that ``ingest.path`` or ``ingest.url`` names, and ``ingest.arrivals``; writes train, validation, test,
unlabelled and rejected .parquet, labels.json and metrics.json to data/ingest.
"""

from pipeline.stages.ingest.run import run

__all__ = ["run"]
