"""Keys of params.yaml that were renamed, old path -> new path: the error for an old key names the new one."""

RENAMED = {
    "pseudo_label.trust": "pseudo_label.teacher_reliability",
    "pseudo_label.c": "pseudo_label.inverse_l2",
    "pseudo_label.smoothing": "pseudo_label.spread_alpha",
    "pseudo_label.compact": "pseudo_label.whiten_last_graph",
    "pseudo_label.words.parts": "pseudo_label.words.mix_weights",
    "pseudo_label.words.c": "pseudo_label.words.inverse_l2",
    "pseudo_label.words.smoothing": "pseudo_label.words.naive_bayes_alpha",
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
