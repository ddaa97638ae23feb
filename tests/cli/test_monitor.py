"""What `gleaner monitor` prints in a terminal of 80 characters, and where it refuses to write its page."""

import io
from datetime import UTC, datetime
from pathlib import Path

import pytest
from rich.console import Console

from cli.monitor import print_look, write_page
from pipeline.core.errors import UserError
from pipeline.policies.monitoring.finding import TrafficFinding, TrafficLook, TrafficSlice
from tests.support.serving import params_with

SINCE, UNTIL = datetime(2026, 11, 30, 14, 9, tzinfo=UTC), datetime(2026, 12, 1, 14, 9, tzinfo=UTC)
SLICES = (
    TrafficSlice("label", "", 192, 0.2082, 0.215, 0.4),
    TrafficSlice("label", "refund", 730, 0.7918, -0.215, 0.9),
    TrafficSlice("key", "robot", 161, 0.1746, 0.717, 0.6),
    TrafficSlice("key", "shop", 761, 0.8254, 0.215, 0.8),
)


def look(*findings: TrafficFinding, note: str = "") -> TrafficLook:
    """A look at two labels and two keys."""
    return TrafficLook("12", "d" * 64, SINCE, UNTIL, 12_922, 12_922, 2, 0, findings, SLICES, note)


def shown(seen: TrafficLook) -> str:
    """What a terminal of 80 characters shows."""
    file = io.StringIO()
    print_look(seen, "inbox/texts", Console(file=file, width=80, highlight=False))
    return file.getvalue()


def test_findings_come_with_what_changed_and_what_to_do() -> None:
    text = shown(look(TrafficFinding("texts", "found", "they differ")))
    lines = [" ".join(line.split()) for line in text.splitlines()]
    assert lines[:2] == [
        "version 12: 12922 texts, 12922 distinct, of 2 keys",
        "from 2026-11-30 14:09 to 2026-12-01 14:09 UTC",
    ]
    labels, keys = text.index("Labels: share of the texts, and its change"), text.index("Keys: share of the texts")
    assert labels < keys < text.index("What to do")
    assert "(no label) 192 20.82% +21.5 points 40%" in lines and "robot 161 17.46% 71.7% 60%" in lines
    assert "put texts like these into inbox/texts" in " ".join(lines[lines.index("What to do") :])


def test_a_look_that_found_nothing_ends_with_its_findings() -> None:
    text = shown(look(TrafficFinding("texts", "none", "they are alike"), note="Some may not be written yet."))
    assert "Some may not be written yet." in text and text.rstrip().endswith("they are alike")


def test_a_page_takes_the_place_of_no_folder(tmp_path: Path) -> None:
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "mine.md").write_text("mine")
    with pytest.raises(UserError, match="--html: expected a file that can be written, found the folder .*; name a"):
        write_page(tmp_path / "docs", look(), params_with())
    assert (tmp_path / "docs" / "mine.md").read_text() == "mine"
