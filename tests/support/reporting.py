"""The stage `report` on a finished run, for tests: its page taken apart, and its model card."""

import json
from pathlib import Path
from typing import Any

from pipeline.core.params import Report
from pipeline.core.stage import Paths, write_json
from pipeline.stages.report import run
from tests.support.parsed_page import ParsedPage

REPORT = Report(title="Report of <b>messages</b>", examples=5)


def run_report(root: Path) -> tuple[ParsedPage, str]:
    """Run the stage below ``root``; the page taken apart, and the card."""
    run(REPORT, Paths(root))
    folder = root / "data/report"
    page = ParsedPage((folder / "report.html").read_text())
    assert page.open == []
    return page, (folder / "MODEL_CARD.md").read_text()


def change_json(path: Path, **values: Any) -> None:
    """Change some values of a JSON object in a file."""
    write_json(json.loads(path.read_text()) | values, path)
