"""The charts of the report: numbers at their positions."""

from pathlib import Path

import pandas as pd
import pytest

from pipeline.core import table
from pipeline.core.stage import Paths
from pipeline.pages import figures
from pipeline.stages.report import charts
from pipeline.stages.report.gather import Results, gather
from tests.support.report_inputs import write_run
from tests.support.reporting import run_report


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return write_run(tmp_path)


@pytest.fixture
def results(root: Path) -> Results:
    return gather(Paths(root))


def test_bins_of_confidence_are_drawn_at_their_values(results: Results) -> None:
    chart, bins = charts.reliability_chart(results)
    assert chart is not None
    assert bins["rows"].sum() == len(results.predictions) == 40
    sure = bins.iloc[-1]  # 0.93 to 1: the first of the 40 rows, which are wrong
    assert sure["accuracy"] == 0.25
    last = chart.points[-1]
    assert last.y == pytest.approx(figures.BOTTOM - 0.25 * (figures.BOTTOM - figures.TOP), abs=0.1)
    assert last.x == pytest.approx(figures.LEFT + sure["confidence"] * (figures.RIGHT - figures.LEFT), abs=0.1)
    assert last.high < last.y < last.low  # SVG counts downwards
    assert "0.250 of 4 rows right" in last.tooltip
    assert max(column.height for column in chart.columns) == figures.COUNTS_BOTTOM - figures.COUNTS_TOP


def test_the_kept_round_is_marked_and_every_round_is_drawn(results: Results) -> None:
    chart = charts.rounds_chart(results)
    assert chart is not None
    positions = [point.x for point in chart.points]
    assert positions == sorted(positions) and len(positions) == len(chart.columns) == 3
    assert chart.mark == (positions[1], "kept")
    assert chart.points[1].y < chart.points[2].y < chart.points[0].y  # 0.912, 0.888, 0.811
    assert [column.height for column in chart.columns] == [0, 40, 56]


def test_without_a_measured_round_there_is_no_curve(root: Path) -> None:
    rounds = pd.read_csv(root / "data/pseudo_label/rounds.csv").drop(columns="precision")
    table.write_csv(rounds, root / "data/pseudo_label/rounds.csv")
    assert charts.rounds_chart(gather(Paths(root))) is None
    page, _ = run_report(root)
    assert not [drawing for drawing in page.attributes_of("svg") if "rounds" in str(drawing.get("aria-labelledby"))]


def test_groups_have_intervals_and_dots_of_small_groups_are_hollow(root: Path) -> None:
    page, _ = run_report(root)
    assert "customer: business 20 0.910" in page.text
    assert "customer: partner 5 0.400 0.118 to 0.769 too few" in page.text
    assert len([drawing for drawing in page.attributes_of("svg") if drawing.get("class") == "dot hollow"]) == 1
