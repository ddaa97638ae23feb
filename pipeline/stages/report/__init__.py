"""The report of a run: an HTML page that works offline, the same page without texts, and a model card.

    python -m pipeline.stages.report

Reads dvc.yaml, params.yaml and the outputs of the other stages; writes data/report/report.html, shared.html,
MODEL_CARD.md, headline.json and metrics.json. report.html quotes rows and stays with the data. shared.html and the
card quote none, and the registry keeps them.
"""

from pathlib import Path

from pipeline.core.params import Report
from pipeline.core.stage import Metrics, Paths, write_atomically, write_json
from pipeline.policies import next_steps
from pipeline.stages.report import advice, card, headline, new_classes, page, view
from pipeline.stages.report.gather import gather, read_texts

__all__ = ["run"]


def run(params: Report, paths: Paths) -> Metrics:
    """Gather the outputs of all stages, write both pages and the card, and return counts and what to try next.

    Equal inputs give equal bytes, because no time or date is written. Raises UserError that names a missing input.
    """
    results = gather(paths)
    examples = view.example_rows(results, params.examples)
    example_ids = [row[0] for table in examples.values() for row in table.rows]
    texts = read_texts(paths, new_classes.gold_rows(results)["id"].tolist(), "train")
    texts |= read_texts(paths, results.new_classes["id"].tolist(), "unlabelled")
    texts |= read_texts(paths, [*example_ids, *results.explanations.errors["id"]])
    files = {
        "report.html": page.render(results, params, texts),
        "shared.html": page.render(results, params, None),
        "MODEL_CARD.md": card.render(results),
    }
    for name, content in files.items():
        write_text(content, paths.data("report") / name)
    write_json(headline.headline_metrics(results), paths.data("report") / "headline.json")
    steps = next_steps.next_steps(advice.facts(results))
    return {"sections": len(page.SECTIONS), "examples": len(example_ids), "next_steps": steps}


def write_text(content: str, path: Path) -> None:
    """Write a text whole or not at all."""
    write_atomically(path, lambda part: part.write_text(content, encoding="utf-8"))
