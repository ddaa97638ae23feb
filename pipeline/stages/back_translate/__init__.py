"""Back-translation: each labelled training row gains a paraphrase, through another language and back.

    python -m pipeline.stages.back_translate

Reads data/ingest/train.parquet; writes data/back_translate/train.parquet, rejected.parquet and metrics.json.
"""
