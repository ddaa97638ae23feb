"""The files that each stage leaves in its folder, besides metrics.json."""

ENCODER = {
    f"encoder/{name}" for name in ("config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json")
}
NETWORK = {*ENCODER, "classifier.json", "head.safetensors"}
ARTIFACTS = {
    "ingest": {
        "labels.json",
        *(f"{name}.parquet" for name in ("train", "validation", "test", "unlabelled", "rejected")),
    },
    "pretrain": ENCODER,
    "synonyms": {"train.parquet"},
    "back_translate": {"train.parquet", "rejected.parquet"},
    "swaps": {"train.parquet", "unlabelled.parquet"},
    "pseudo_label": {
        *("train.parquet", "head.safetensors", "held_out.parquet"),
        *("rounds.csv", "rounds.png", "classes.csv", "groups.csv"),
    },
    "finetune": {"history.csv", "history.png", *(f"model/{name}" for name in NETWORK)},
    "export": {
        "new_classes.parquet",
        *(f"bundle/{name}" for name in (*NETWORK, "MANIFEST.json", "tokenizer.json", "model.onnx", "model.int8.onnx")),
    },
    "evaluate": {"predictions.parquet", "per_class.csv", "coverage.csv", "confusion.png", "reliability.png"},
    "counterfactual": {"pairs.csv", "terms.csv", "flips.csv"},
    "fairness": {"groups.csv", "groups.png", "auc.csv", "augmentations.csv"},
    "explain": {
        *("attributions.parquet", "errors.parquet", "neighbours.parquet", "map.parquet", "map.png", "why.html"),
        *("classes.csv", "faithfulness.csv"),
    },
    "report": {"report.html", "shared.html", "MODEL_CARD.md", "headline.json"},
}
