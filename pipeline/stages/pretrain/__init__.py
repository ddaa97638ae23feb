"""Pretraining: the encoder goes on learning from the raw text of this corpus, or a small new one starts from it.

    python -m pipeline.stages.pretrain

Reads data/ingest/train.parquet and unlabelled.parquet; writes data/pretrain/encoder/ and metrics.json.
"""
