"""Fine-tuning: encoder and linear head learn from gold, augmented and pseudo-labelled rows, each by its weight.

    python -m pipeline.stages.finetune

Reads data/ingest/{train,validation}.parquet and labels.json, train.parquet of synonyms, back_translate, swaps and
pseudo_label, data/pseudo_label/head.safetensors and data/pretrain/encoder; writes data/finetune/model/, history.csv,
history.png and metrics.json.
"""

from pipeline.stages.finetune.run import run

__all__ = ["run"]
