"""Pretraining: the encoder continues to learn from the raw text of this corpus, or a small new one learns from it.

    python -m pipeline.stages.pretrain

Reads data/ingest/train.parquet and unlabelled.parquet; writes data/pretrain/encoder/ and metrics.json.
"""
