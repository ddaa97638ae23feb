"""Ingest: raw files, a database or a Hugging Face dataset become the tables that every other stage reads.

    python -m pipeline.stages.ingest

Reads what ``ingest.path`` or ``ingest.url`` names; writes train, validation, test, unlabelled and rejected .parquet,
labels.json and metrics.json in data/ingest.
"""

from pipeline.stages.ingest.run import run

__all__ = ["run"]
