"""What the shipped model is and learned from, why it ships, and what to try next."""

from pipeline.core.params import Gate
from pipeline.pages.grid import format_value
from pipeline.policies import next_steps
from pipeline.stages.report import confusion
from pipeline.stages.report.gather import Results

DERIVED_ROWS = {  # origin of training rows: what they are called
    "class_name": "names or descriptions of classes",
    "synonym": "copies with synonyms",
    "back_translation": "back-translations",
    "counterfactual": "copies with exchanged identity terms",
    "pseudo": "rows with a pseudo-label",
}


def why_it_ships(results: Results) -> str:
    """Why this model ships, in a sentence; empty for a run before models were compared."""
    return str(results.metrics["export"].get("shipped.reason", ""))


def learned_from(results: Results) -> str:
    """What the shipped model learned from, in a sentence."""
    rows = results.training["origin"].value_counts()
    derived = [f"{format_value(int(rows[origin]))} {name}" for origin, name in DERIVED_ROWS.items() if origin in rows]
    pool = format_value(results.metrics["ingest"]["rows.unlabelled"])
    of_pool = (
        f"The pool has {pool} rows." if "pseudo" in rows else f"None of the {pool} rows in the pool is among them."
    )
    gold = f"{format_value(int(rows.get('gold', 0)))} rows with a gold label"
    return f"It learned from {', '.join([gold, *derived])}. {of_pool}"


def facts(results: Results) -> next_steps.RunFacts:
    """What the next steps depend on."""
    pairs = confusion.frequent_pairs(results)
    confused = ""
    if len(pairs):
        pair = pairs.iloc[0]
        confused = f"{pair['label']} is taken for {pair['predicted']} ({pair['size']} of {pair['of']} rows)"
    limits = Gate.model_validate(results.params["gate"])
    return next_steps.RunFacts(results.metrics, limits, len(results.descriptions), confused)
