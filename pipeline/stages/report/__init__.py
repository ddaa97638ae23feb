"""The report of a run: an HTML page that works offline, the same page without texts, and a model card.

    python -m pipeline.stages.report

Reads dvc.yaml, params.yaml and what the other stages wrote; writes data/report/report.html, shared.html, MODEL_CARD.md
and metrics.json. report.html quotes rows, for those who have the data; shared.html and the card never do, and are what
the registry keeps.
"""

from pathlib import Path

from pipeline.core.params import Report
from pipeline.core.stage import Metrics, Paths, replace
from pipeline.stages.report import card, page, view
from pipeline.stages.report.gather import gather, read_texts

__all__ = ["run"]


def run(params: Report, paths: Paths) -> Metrics:
    """Gather the outputs of all stages and write both pages and the card.

    Equal inputs give equal bytes: nothing in them tells the time. Raises UserError that names a missing input.
    """
    results = gather(paths)
    examples = view.examples(results, params.examples)
    shown = [row[0] for table in examples.values() for row in table.rows]
    quoted = [*shown, *results.explained.errors["id"]]
    files = {
        "report.html": page.render(results, params, read_texts(paths, quoted)),
        "shared.html": page.render(results, params, None),
        "MODEL_CARD.md": card.render(results),
    }
    for name, content in files.items():
        write(content, paths.data("report") / name)
    return {"sections": len(page.SECTIONS), "examples": len(shown)}


def write(content: str, path: Path) -> None:
    """Write a text beside its place and rename it."""
    replace(path, lambda part: part.write_text(content, encoding="utf-8"))
