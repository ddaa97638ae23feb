"""What to try next: steps and their order follow from what the run measured."""

from dataclasses import replace
from typing import Any

from pipeline.core.params import Gate
from pipeline.policies.next_steps import RunFacts, next_steps, weaknesses

LIMITS = Gate(
    min_test_rows=100,
    min_accuracy=0.7,
    min_macro_f1=0.7,
    min_gain_over_probe=0.0,
    max_calibration_error=None,
    min_coverage=None,
    max_out_of_scope_answered=None,
    max_group_gap=None,
    max_flip_rate=None,
)
INGEST = {"rows.train": 48, "rows.unlabelled": 3815, "classes": 3, "gold_per_class.min": 16}
EVALUATE = {"accuracy": 0.8, "accuracy_low": 0.75, "macro_f1": 0.8, "macro_f1_low": 0.75, "test_rows": 970}
BASELINES = {"baseline.probe.accuracy": 0.7, "baseline.tfidf.accuracy": None, "baseline.largest_class.accuracy": 0.6}
FACTS = RunFacts(
    metrics={
        "ingest": INGEST,
        "evaluate": EVALUATE | BASELINES,
        "pseudo_label": {"round": 0, "class_names_heard": True},
        "finetune": {"parameters": 22.7e6},
    },
    limits=LIMITS,
    described=0,
    confusion="positive is taken for neutral (80 of 270 rows)",
)


def changed(facts: RunFacts, stage: str, **values: Any) -> RunFacts:
    """The facts with other metrics of one stage; a double underscore stands for a dot."""
    dotted = {name.replace("__", "."): value for name, value in values.items()}
    return replace(facts, metrics={**facts.metrics, stage: facts.metrics[stage] | dotted})


def test_a_good_outcome_needs_no_next_step() -> None:
    assert weaknesses(FACTS) == [] and next_steps(FACTS) == []


def test_an_accuracy_at_a_baseline_gives_steps_with_their_reasons() -> None:
    facts = changed(FACTS, "evaluate", baseline__probe__accuracy=0.8)
    assert weaknesses(facts) == ["Accuracy 0.800 is not above 0.800, that of a probe on the untouched encoder."]
    names, encoder, labels = next_steps(facts)
    assert names.endswith("(ingest.labels.descriptions): 3 of 3 are known by their name alone.")
    assert "23 million weights, and a probe on its vectors has an accuracy of 0.800" in encoder
    assert labels == (
        "Label 48 more rows (`gleaner suggest 48`): 48 rows have a gold label, 16 of the smallest class; no "
        "pseudo-label was kept; most often, positive is taken for neutral (80 of 270 rows)."
    )


def test_steps_follow_from_what_the_run_has() -> None:
    weak = changed(FACTS, "evaluate", accuracy_low=0.6)
    assert weaknesses(weak) == ["The interval of accuracy begins at 0.600, below gate.min_accuracy (0.7)."]
    assert next_steps(weak)[-1] == "Label more test rows: on 970 of them, accuracy 0.800 may be 0.600 as well."
    few = changed(FACTS, "ingest", rows__train=9, gold_per_class__min=3, rows__unlabelled=0)
    few = replace(few, described=3, confusion="")
    assert weaknesses(few) == ["9 gold rows cannot tell by themselves what helps; it takes 20."]
    labels, encoder = next_steps(few)
    assert labels.startswith("Label 20 more rows: 9 rows") and encoder.startswith("Try a stronger encoder")
    large = changed(weak, "finetune", parameters=110e6)
    assert [step.split()[0] for step in next_steps(large)] == ["Describe", "Label", "Label"]
    unheard = changed(weak, "pseudo_label", class_names_heard=False)
    assert next_steps(unheard)[0].endswith("by their name alone, and names were of no use as they are.")
