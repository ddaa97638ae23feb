"""The head of the page: what the model is, whether it is good enough, and what to look at first."""

from dataclasses import dataclass
from typing import Any

from pipeline.core.params import Gate
from pipeline.pages.grid import show
from pipeline.policies import gate
from pipeline.stages.report import confusion, view
from pipeline.stages.report.gather import Results

NAMED = 8  # classes, in the sentence on what the model is
SURE = 0.9  # confidence, from which an error is a sure one
FEW = 10  # test rows, below which a class's numbers are chance
OFF = 0.03  # of mean confidence from accuracy, from which it is worth a word
SENTENCES = {
    "pass": "It meets every limit of the gate.",
    "fail": "It misses {count} of the gate's limits, and would not be registered.",
    "insufficient": "It cannot be told whether it meets the gate's limits, which is not a pass.",
}


@dataclass(frozen=True)
class Finding:
    """A sentence on what stands out, and the section that tells more."""

    says: str
    section: str


def summary(results: Results) -> dict[str, Any]:
    """What the section shows."""
    evaluated, groups, swapped = (results.metrics[stage] for stage in ("evaluate", "fairness", "counterfactual"))
    verdict = gate.decide(evaluated, groups, Gate.model_validate(results.params["gate"]), swapped)
    reasons = [reason.split(": ", 1) for reason in verdict.reasons]
    failed = sum(status == "fail" for status, _ in reasons)
    return {
        "what": what(results),
        "status": verdict.status,
        "judged": SENTENCES[verdict.status].format(count=failed),
        "reasons": reasons,
        "findings": findings(results),
    }


def what(results: Results) -> str:
    """What the model is and what it was made of, in two sentences."""
    found = results.metrics["ingest"]
    named = ", ".join(results.labels[:NAMED])
    more = f" and {len(results.labels) - NAMED} more" if len(results.labels) > NAMED else ""
    made = results.training["origin"].value_counts()
    added = [f"{show(int(rows))} {str(origin).replace('_', '-')}" for origin, rows in made.items() if origin != "gold"]
    return (
        f"A classifier of texts into {len(results.labels)} classes ({named}{more}). It learned from "
        f"{show(found['rows.train'])} rows with a gold label and {show(found['rows.unlabelled'])} without one; made of "
        f"them: {', '.join(added) or 'no further'} rows. Its encoder is {view.encoder(results)}."
    )


def findings(results: Results) -> list[Finding]:
    """What stands out, the weightiest first."""
    told = (gaps, errors, confused, weakest, trusted, few, fooled, refused)
    return [finding for tell in told if (finding := tell(results))]


def gaps(results: Results) -> Finding | None:
    """A gap between groups that is no chance, or groups too small to judge."""
    found = view.attributes(results)
    known = [one for one in found if one["gap"] is not None and one["low"]]
    if known:
        one = max(known, key=lambda one: one["gap"])
        return Finding(
            f"Accuracy differs by {show(one['gap'])} between the groups of {one['name']} (interval {show(one['low'])} "
            f"to {show(one['high'])}: not chance alone).",
            "groups",
        )
    small = [
        f"{one['name']}: {', '.join(one['insufficient'])}" for one in view.attributes(results) if one["insufficient"]
    ]
    return Finding(f"Too few test rows to judge some groups ({'; '.join(small)}).", "groups") if small else None


def errors(results: Results) -> Finding | None:
    """How often the model is sure and wrong."""
    sure = results.predictions[results.predictions["confidence"] >= SURE]
    wrong = int((sure["label"] != sure["predicted"]).sum())
    if not wrong:
        return None
    return Finding(
        f"Of {show(len(sure))} test rows with a confidence of {SURE:g} or more, {show(wrong)} are wrong.", "examples"
    )


def confused(results: Results) -> Finding | None:
    """The most frequent confusion."""
    pairs = confusion.frequent(results)
    if pairs.empty:
        return None
    one = pairs.iloc[0]
    return Finding(
        f"Most often confused: {one['label']} is taken for {one['predicted']} in {show(int(one['size']))} of "
        f"{show(int(one['of']))} rows.",
        "results",
    )


def weakest(results: Results) -> Finding | None:
    """The class of lowest F1, among more than two."""
    rows = results.per_class.iloc[:-2]  # the last two are averages
    rows = rows[rows["support"] > 0]
    if len(rows) < 3:
        return None
    one = rows.sort_values("f1-score", kind="stable").iloc[0]
    return Finding(
        f"Weakest class: {one['class']}, F1 {show(float(one['f1-score']))} on {show(int(one['support']))} test rows.",
        "classes",
    )


def trusted(results: Results) -> Finding | None:
    """Whether confidence lies above or below accuracy."""
    if results.predictions.empty:
        return None
    off = float(results.predictions["confidence"].mean()) - results.metrics["evaluate"]["accuracy"]
    if abs(off) < OFF:
        return None
    way = "too high" if off > 0 else "too low"
    return Finding(f"Confidence is {way} by {abs(off) * 100:.1f} points on average.", "results")


def few(results: Results) -> Finding | None:
    """Classes with hardly a test row."""
    rows = results.per_class.iloc[:-2]
    count = int((rows["support"] < FEW).sum())
    said = f"{show(count)} of {show(len(rows))} classes have fewer than {FEW} test rows: their numbers are chance."
    return Finding(said, "classes") if count else None


def fooled(results: Results) -> Finding | None:
    """Pseudo-labels that did not help, or might not have."""
    if len(results.rounds) < 2 or results.metrics["pseudo_label"]["round"]:
        return None
    why = (
        "Too few labels are held out to tell whether pseudo-labels help, and the two views of the texts do not agree"
        if results.metrics["pseudo_label"]["doubted"]
        else "Pseudo-labels did not help on held-out labels"
    )
    return Finding(f"{why}: they were left out.", "pseudo-labels")


def refused(results: Results) -> Finding | None:
    """Rows that could not be used."""
    count = sum(results.rejected.values())
    return Finding(f"{show(count)} rows of the source could not be used.", "data") if count else None
