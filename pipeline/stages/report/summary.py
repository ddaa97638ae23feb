"""The section at the head of the page: what the model is, whether it is good enough, and what to look at first."""

from dataclasses import dataclass
from typing import Any

from pipeline.core.params import Gate
from pipeline.core.rejection_reasons import TWINS
from pipeline.pages.grid import format_value
from pipeline.policies import gate, next_steps
from pipeline.policies.accuracy_caveats import accuracy_caveats
from pipeline.policies.reasons import parse_reason
from pipeline.stages.report import advice, confusion, view
from pipeline.stages.report.gather import Results

NAMED_CLASSES = 8  # in the sentence on what the model is: more would hide the rest of it
HIGH_CONFIDENCE = 0.9  # errors of at least this confidence are pointed out
FEW_TEST_ROWS = 10  # with fewer rows, one error moves a class's recall by more than 0.1
NOTABLE_MISCALIBRATION = 0.03  # a smaller difference of mean confidence and accuracy is not pointed out
NAMED_FILES = 3  # of those with rows that could not be used
AVERAGES = 2  # rows at the end of the table by class
STATUS_SENTENCES = {
    "pass": "It meets every limit of the gate.",
    "fail": "It misses {count} of the gate's limits, and would not be registered.",
    "insufficient": "It cannot be told whether it meets the gate's limits, which is not a pass.",
}


@dataclass(frozen=True)
class Finding:
    """A sentence on what stands out, and the section that has the details."""

    sentence: str
    section: str


def section(results: Results) -> dict[str, Any]:
    """The content of the section."""
    evaluate, fairness, counterfactual = (
        results.metrics[stage] for stage in ("evaluate", "fairness", "counterfactual")
    )
    limits = Gate.model_validate(results.params["gate"])
    verdict = gate.decide_registration(evaluate, fairness, limits, counterfactual)
    reasons = list(map(parse_reason, verdict.reasons))
    failed = sum(reason.status == "fail" for reason in reasons)
    facts = advice.facts(results)
    return {
        "model": describe_model(results),
        "status": verdict.status,
        "verdict": STATUS_SENTENCES[verdict.status].format(count=failed),
        "reasons": reasons,
        "findings": findings(results),
        "weaknesses": next_steps.weaknesses(facts),
        "next_steps": next_steps.next_steps(facts),
    }


def describe_model(results: Results) -> str:
    """A description of the model, of the rows it was trained on, and of why it ships, in a few sentences."""
    labels = results.labels
    named = ", ".join(labels[:NAMED_CLASSES])
    more = f" and {len(labels) - NAMED_CLASSES} more" if len(labels) > NAMED_CLASSES else ""
    return (
        f"A classifier of texts into {len(labels)} classes ({named}{more}). {advice.learned_from(results)} "
        f"Its encoder is {view.encoder_name(results)}. {advice.why_it_ships(results)}"
    ).strip()


def findings(results: Results) -> list[Finding]:
    """What stands out, the most important first."""
    checks = (
        group_gap,
        confident_errors,
        top_confusion,
        weakest_class,
        miscalibration,
        small_classes,
        unhelpful_pseudo_labels,
        rejected_rows,
        remarks_on_labels,
    )
    caveats = [Finding(line, "results") for line in accuracy_caveats(results.metrics["evaluate"])]
    return caveats + [finding for check in checks if (finding := check(results))]


def group_gap(results: Results) -> Finding | None:
    """The largest gap between groups whose interval excludes 0, or else the groups that are too small to judge."""
    attributes = view.group_attributes(results)
    significant = [attribute for attribute in attributes if attribute["gap"] is not None and attribute["low"]]
    if significant:
        widest = max(significant, key=lambda attribute: attribute["gap"])
        gap, low, high = (format_value(widest[key]) for key in ("gap", "low", "high"))
        return Finding(
            f"Accuracy differs by {gap} between the groups of {widest['name']} (interval {low} to {high}: not chance "
            "alone).",
            "groups",
        )
    small = [
        f"{attribute['name']}: {', '.join(attribute['insufficient'])}"
        for attribute in attributes
        if attribute["insufficient"]
    ]
    return Finding(f"Too few test rows to judge some groups ({'; '.join(small)}).", "groups") if small else None


def confident_errors(results: Results) -> Finding | None:
    """How many test rows of high confidence are wrong."""
    confident = results.predictions[results.predictions["confidence"] >= HIGH_CONFIDENCE]
    wrong = int((confident["label"] != confident["predicted"]).sum())
    if not wrong:
        return None
    return Finding(
        f"Of {format_value(len(confident))} test rows with a confidence of {HIGH_CONFIDENCE:g} or more, "
        f"{format_value(wrong)} are wrong.",
        "examples",
    )


def top_confusion(results: Results) -> Finding | None:
    """The most frequent confusion."""
    pairs = confusion.frequent_pairs(results)
    if pairs.empty:
        return None
    pair = pairs.iloc[0]
    return Finding(
        f"Most often confused: {pair['label']} is taken for {pair['predicted']} in {format_value(int(pair['size']))} "
        f"of {format_value(int(pair['of']))} rows.",
        "results",
    )


def weakest_class(results: Results) -> Finding | None:
    """The class of lowest F1, among more than two."""
    classes = results.per_class.iloc[:-AVERAGES]
    classes = classes[classes["support"] > 0]
    if len(classes) < 3:
        return None
    weakest = classes.sort_values("f1-score", kind="stable").iloc[0]
    return Finding(
        f"Weakest class: {weakest['class']}, F1 {format_value(float(weakest['f1-score']))} on "
        f"{format_value(int(weakest['support']))} test rows.",
        "classes",
    )


def miscalibration(results: Results) -> Finding | None:
    """Whether mean confidence lies above or below accuracy."""
    if results.predictions.empty:
        return None
    excess = float(results.predictions["confidence"].mean()) - results.metrics["evaluate"]["accuracy"]
    if abs(excess) < NOTABLE_MISCALIBRATION:
        return None
    direction = "too high" if excess > 0 else "too low"
    return Finding(f"Confidence is {direction} by {abs(excess) * 100:.1f} points on average.", "results")


def small_classes(results: Results) -> Finding | None:
    """How many classes have too few test rows for their scores to mean anything."""
    classes = results.per_class.iloc[:-AVERAGES]
    count = int((classes["support"] < FEW_TEST_ROWS).sum())
    if not count:
        return None
    return Finding(
        f"{format_value(count)} of {format_value(len(classes))} classes have fewer than {FEW_TEST_ROWS} test rows: "
        "their numbers are chance.",
        "classes",
    )


def unhelpful_pseudo_labels(results: Results) -> Finding | None:
    """Why pseudo-labels were left out, if there were rounds and none was kept."""
    if len(results.rounds) < 2 or results.metrics["pseudo_label"]["round"]:
        return None
    return Finding("Pseudo-labels did not help on held-out labels: they were left out.", "pseudo-labels")


def rejected_rows(results: Results) -> Finding | None:
    """How many rows of the source could not be used, how many only repeat a text of another row, and of which files."""
    twins = sum(rows for reason, rows in results.rejected.items() if reason in TWINS)
    lost = sum(results.rejected.values()) - twins
    parts = [f"{format_value(lost)} rows of the source could not be used"] if lost else []
    if twins:
        parts.append(f"{format_value(twins)} rows repeat a text of another row, which is used instead")
    if not parts:
        return None
    files = view.rejections(results)
    more = f"; {len(files) - NAMED_FILES} more files" if len(files) > NAMED_FILES else ""
    detail = f" ({'; '.join(files[:NAMED_FILES])}{more})" if files else ""
    return Finding(f"{'; '.join(parts)}{detail}.", "data")


def remarks_on_labels(results: Results) -> Finding | None:
    """How many remarks ingest has on labels and group values."""
    count = len(view.remarks(results))
    if not count:
        return None
    return Finding(f"Labels or group values were joined or are in doubt: {format_value(count)} remarks.", "data")
