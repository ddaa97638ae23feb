"""The report of a run: one HTML file that works offline, and a model card.

    python -m pipeline.report

Reads dvc.yaml, params.yaml and what the other stages wrote; writes data/report/report.html, MODEL_CARD.md and
metrics.json.
"""

from pipeline.params import Report
from pipeline.report import card, page
from pipeline.report.gather import gather
from pipeline.report.view import examples
from pipeline.stage import Metrics, Paths, replace

__all__ = ["run"]


def run(params: Report, paths: Paths) -> Metrics:
    """Gather the outputs of all stages and write page and card.

    Equal inputs give equal bytes: nothing in them tells the time. Raises UserError that names a missing input.
    """
    results = gather(paths)
    html, markdown = page.render(results, params), card.render(results)
    replace(paths.data("report") / "report.html", lambda part: part.write_text(html, encoding="utf-8"))
    replace(paths.data("report") / "MODEL_CARD.md", lambda part: part.write_text(markdown, encoding="utf-8"))
    shown = sum(len(table.rows) for table in examples(results, params.examples).values())
    return {"sections": len(page.SECTIONS), "examples": shown}
