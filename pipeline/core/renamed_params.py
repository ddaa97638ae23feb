"""Keys of params.yaml that were renamed, old path -> new path, or removed: the error for an old key says so."""

RENAMED = {
    "evaluate.baseline_c": "evaluate.baseline_inverse_l2",
    "gate.metric": "promotion.metric",
    "gate.margin": "promotion.margin",
    "gate.confidence": "promotion.confidence",
    "gate.bootstrap": "promotion.bootstrap",
    "gate.max_gap_increase": "promotion.max_gap_increase",
    "gate.max_judgements": "promotion.max_judgements",
    "gate.max_detectable": "promotion.max_detectable",
    "gate.same_test_rows": "promotion.same_test_rows",
    "gate.seed": "promotion.seed",
}

# Keys whose value nothing reads any more, with the reason that the error gives.
_METHOD = "the method has one setting for all data (docs/concepts/few-labels.md)"
REMOVED = {
    **{
        f"pseudo_label.{key}": _METHOD
        for key in (
            *("trust", "teacher_reliability", "c", "inverse_l2", "gold_weight", "class_name_weight", "names_first"),
            *("first_share", "last_share", "neighbours", "compact", "whiten_last_graph", "smoothing", "spread_alpha"),
            *("min_confidence", "min_agreement"),
        )
    },
    "pseudo_label.words": "pseudo_label.word_view (true or false) switches words on",
}
