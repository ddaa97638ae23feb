"""The page of a look at traffic: the outcome first, then each finding in words, the numbers, and the slices."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from pipeline.pages.monitor_page import render
from pipeline.policies.monitoring.finding import TrafficLook
from pipeline.policies.monitoring.look import look_at
from tests.support.parsed_page import ParsedPage
from tests.support.traffic import limits, monitor, reference, traffic

WINDOW = (datetime(2026, 12, 1, tzinfo=UTC), datetime(2026, 12, 2, tzinfo=UTC))


def look(rows: int = 120, foreign: float = 0.0) -> TrafficLook:
    """A look at traffic of one key, whose name is markup."""
    seen = traffic(1, rows, foreign, key="<b>shop</b>")
    return look_at(seen, {}, reference(150), monitor(), limits(max_rows=100), ("3", "d" * 64), WINDOW)


def show(seen: TrafficLook) -> ParsedPage:
    """The page taken apart."""
    page = ParsedPage(render(seen, "gleaner-demo", "inbox/texts"))
    assert page.open == []
    return page


@pytest.mark.parametrize(
    ("rows", "foreign", "word"),
    [(120, 1.0, "2 found"), (120, 0.0, "nothing found, but not all could be asked")],
)
def test_the_outcome_comes_first_and_every_finding_has_its_sentence(rows: int, foreign: float, word: str) -> None:
    seen = look(rows, foreign)
    text = show(seen).text
    assert text.index(f"Traffic of version 3: {word}") < text.index("Estimated accuracy") < text.index("Findings")
    assert "from 2026-12-01 00:00 to 2026-12-02 00:00 UTC" in text
    for finding in seen.findings:
        assert f"{finding.title} : {finding.sentence}" in text
    assert all(part.name in text for part in seen.slices)


def test_names_are_text_and_nothing_is_loaded_from_elsewhere() -> None:
    html = render(look(), "gleaner-demo", "inbox/texts")
    assert "<b>shop" not in html and "&lt;b&gt;shop" in html
    assert "http" not in html.replace("http-equiv", "")
    assert "default-src 'none'" in html


def test_the_page_says_what_to_do_and_what_each_figure_is() -> None:
    found, nothing = show(look(foreign=1.0)).text, show(look()).text
    assert "What to do" in found and "put texts like these into inbox/texts and run gleaner retrain" in found
    assert "What to do" not in nothing
    for text in (found, nothing):
        assert "Labels: share of the texts, and its change since the training" in text
        assert "share of the key's answers that changed since the training, beyond chance" in text
        assert "changed most" not in text


def test_a_look_at_nothing_is_a_page_too() -> None:
    text = show(replace(look(rows=0), version=None, damaged=2, note="Some may not be written yet.")).text
    assert "Traffic of the bundle dddddddddddd" in text and "2 files of traffic could not be read" in text
    assert "There is nothing to compare with." in text and "Some may not be written yet." in text
