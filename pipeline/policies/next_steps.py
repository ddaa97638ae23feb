"""What to try next where an outcome is weak: steps in the order of what they are likely to give, with their reasons.

Every number is one that the run measured.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from pipeline.core.params import Gate
from pipeline.core.stage import Metrics
from pipeline.policies.shipped_model import MIN_ROWS

BASELINES = {  # key of evaluate's baselines: its name in a sentence
    "probe": "a probe on the untouched encoder",
    "tfidf": "TF-IDF",
    "largest_class": "always answering the largest class",
}
FEW_PER_CLASS = 4  # up to so many labels a class, more labels gave more than anything else (benchmarks/LOG.md)
SMALL_NETWORK = 50e6  # weights: MiniLM has 23 million, the next larger published encoders 110 million and more


@dataclass(frozen=True)
class RunFacts:
    """What a run measured, as far as the next steps depend on it."""

    metrics: Mapping[str, Metrics]  # stage -> dotted name -> value
    limits: Gate
    described: int  # classes with a description
    confusion: str  # the most frequent confusion in words; empty if no test row was labelled wrongly


def weaknesses(facts: RunFacts) -> list[str]:
    """Why the outcome is weak, in sentences; empty if it is not."""
    evaluate, limits = facts.metrics["evaluate"], facts.limits
    accuracy = evaluate["accuracy"]
    lines = [
        f"Accuracy {accuracy:.3f} is not above {value:.3f}, that of {name}."
        for key, name in BASELINES.items()
        if (value := evaluate.get(f"baseline.{key}.accuracy")) is not None and accuracy <= value
    ]
    for name, limit in (("accuracy", limits.min_accuracy), ("macro_f1", limits.min_macro_f1)):
        low = evaluate[f"{name}_low"]
        if limit is not None and low < limit:
            lines.append(f"The interval of {name} begins at {low:.3f}, below gate.min_{name} ({limit:g}).")
    gold = facts.metrics["ingest"]["rows.train"]
    if gold < MIN_ROWS:
        lines.append(f"{gold} gold rows cannot tell by themselves what helps; it takes {MIN_ROWS}.")
    return lines


def next_steps(facts: RunFacts) -> list[str]:
    """What to try next, the most promising first, each with its reason; empty where the outcome is not weak."""
    if not weaknesses(facts):
        return []
    smallest = facts.metrics["ingest"].get("gold_per_class.min")
    labels_first = smallest is not None and smallest <= FEW_PER_CLASS
    training = [more_labels(facts), stronger_encoder(facts)]
    steps = [describe_classes(facts), *(training if labels_first else training[::-1]), more_test_rows(facts)]
    return [step for step in steps if step]


def describe_classes(facts: RunFacts) -> str:
    """The step for classes without a description; empty if all have one."""
    classes = facts.metrics["ingest"]["classes"]
    if facts.described >= classes:
        return ""
    teacher = facts.metrics["pseudo_label"]
    heard, doubt = teacher.get("class_names_heard"), teacher.get("names_doubted")
    use = f"; {doubt}" if doubt else "" if heard is None or heard else ", and names were of no use as they are"
    return (
        f"Describe the classes in a few words (ingest.labels.descriptions): {classes - facts.described} of {classes} "
        f"are known by their name alone{use}."
    )


def stronger_encoder(facts: RunFacts) -> str:
    """The step for a small encoder; empty if it is large."""
    weights = facts.metrics["finetune"].get("parameters")
    if weights is None or weights >= SMALL_NETWORK:
        return ""
    probe = facts.metrics["evaluate"].get("baseline.probe.accuracy")
    reach = "" if probe is None else f", and a probe on its vectors has an accuracy of {probe:.3f}"
    return f"Try a stronger encoder (section encoder): this one has {weights / 1e6:.0f} million weights{reach}."


def more_labels(facts: RunFacts) -> str:
    """The step for more gold rows: as many again, chosen from the pool where there is one."""
    ingest = facts.metrics["ingest"]
    gold, count = ingest["rows.train"], max(MIN_ROWS, ingest["rows.train"])
    smallest = ingest.get("gold_per_class.min")
    reasons = [f"{gold} rows have a gold label" + ("" if smallest is None else f", {smallest} of the smallest class")]
    if not facts.metrics["pseudo_label"].get("round"):
        reasons.append("no pseudo-label was kept")
    if facts.confusion:
        reasons.append(f"most often, {facts.confusion}")
    command = f" (`gleaner suggest {count}`)" if ingest["rows.unlabelled"] else ""
    return f"Label {count} more rows{command}: {'; '.join(reasons)}."


def more_test_rows(facts: RunFacts) -> str:
    """The step for a test split too small to tell whether the gate is met; empty if it is large enough."""
    evaluate, limit = facts.metrics["evaluate"], facts.limits.min_accuracy
    if limit is None or not evaluate["accuracy_low"] < limit <= evaluate["accuracy"]:
        return ""
    return (
        f"Label more test rows: on {evaluate['test_rows']} of them, accuracy {evaluate['accuracy']:.3f} may be "
        f"{evaluate['accuracy_low']:.3f} as well."
    )
