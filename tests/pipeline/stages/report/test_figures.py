"""What the page draws and says first: numbers in their places, the matrix, the gate's limits, what stands out."""

import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from pipeline.core import table
from pipeline.core.stage import Paths
from pipeline.metrics import statistics
from pipeline.pages import figures
from pipeline.stages.report import charts, confusion, summary
from pipeline.stages.report.gather import Results, gather
from tests.support.reporting import LABELS, ROOT, change, fill, render


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return fill(tmp_path)


@pytest.fixture
def results(root: Path) -> Results:
    return gather(Paths(root))


def test_wilsons_interval_is_the_published_one() -> None:
    """Newcombe 1998, table I: 81 of 263, and 0 of 20, method 3."""
    assert statistics.wilson_interval(81, 263, 0.95) == pytest.approx((0.2553, 0.3662), abs=1e-4)
    assert statistics.wilson_interval(0, 20, 0.95) == pytest.approx((0.0, 0.1611), abs=1e-4)


def test_bins_of_confidence_stand_where_their_numbers_are(results: Results) -> None:
    chart, bins = charts.reliability_chart(results)
    assert chart is not None
    assert bins["rows"].sum() == len(results.predictions) == 40
    sure = bins.iloc[-1]  # 0.93 to 1: the first of the 40 rows, which are wrong
    assert sure["accuracy"] == 0.25
    last = chart.points[-1]
    assert last.y == pytest.approx(figures.BOTTOM - 0.25 * (figures.BOTTOM - figures.TOP), abs=0.1)
    assert last.x == pytest.approx(figures.LEFT + sure["confidence"] * (figures.RIGHT - figures.LEFT), abs=0.1)
    assert last.high < last.y < last.low  # SVG counts downwards
    assert "0.250 of 4 rows right" in last.says
    assert max(column.height for column in chart.columns) == figures.COUNTS_BOTTOM - figures.COUNTS_TOP


def test_the_kept_round_is_marked_and_every_round_has_its_place(results: Results) -> None:
    chart = charts.rounds_chart(results)
    assert chart is not None
    places = [point.x for point in chart.points]
    assert places == sorted(places) and len(places) == len(chart.columns) == 3
    assert chart.mark == (places[1], "kept")
    assert chart.points[1].y < chart.points[2].y < chart.points[0].y  # 0.912, 0.888, 0.811
    assert [column.height for column in chart.columns] == [0, 40, 56]


def test_without_a_judged_round_there_is_no_curve(root: Path) -> None:
    rounds = pd.read_csv(root / "data/pseudo_label/rounds.csv").drop(columns="precision")
    table.write_csv(rounds, root / "data/pseudo_label/rounds.csv")
    assert charts.rounds_chart(gather(Paths(root))) is None
    page, _ = render(root)
    assert not [drawing for drawing in page.all("svg") if "rounds" in str(drawing.get("aria-labelledby"))]


def test_groups_have_intervals_and_those_too_small_are_hollow(root: Path) -> None:
    page, _ = render(root)
    assert "customer: business 20 0.910" in page.text
    assert "customer: partner 5 0.400 0.118 to 0.769 insufficient" in page.text
    assert len([one for one in page.all("svg") if one.get("class") == "dot hollow"]) == 1


def test_the_matrix_counts_every_test_row_once(results: Results) -> None:
    found = confusion.matrix(results)
    assert found is not None
    assert [name for name, _ in found] == LABELS
    assert sum(int(cell.rows) for _, cells in found for cell in cells) == 40
    assert [cell.share for cell in found[0][1]] == [0.8, 0.0, 0.2, 0.0]
    assert [cell.right for cell in found[1][1]] == [False, True, False, False]


def test_a_matrix_of_many_classes_is_a_picture(results: Results) -> None:
    many = [f"class {number}" for number in range(confusion.MAX_MATRIX_CLASSES + 1)]
    assert confusion.matrix(Results(**(vars(results) | {"labels": many}))) is None


def test_the_summary_judges_by_the_gates_limits(root: Path) -> None:
    change(root / "data/evaluate/metrics.json", test_rows=400)
    page, _ = render(root)
    assert "pass It meets every limit of the gate." in page.text
    change(root / "data/evaluate/metrics.json", accuracy=0.1)
    page, _ = render(root)
    assert "fail It misses 1 of the gate's limits" in page.text
    assert "fail min_accuracy: accuracy 0.1" in page.text


def test_what_stands_out_leads_to_its_section(root: Path) -> None:
    page, _ = render(root)
    first = page.text[page.text.index("What to look at first") : page.text.index("Accuracy on 40 test rows")]
    assert "Accuracy differs by 0.088 between the groups of customer" in first
    assert "Of 6 test rows with a confidence of 0.9 or more, 5 are wrong. Examples" in first
    assert "is taken for delivery in 2 of 10 rows. Results" in first
    assert "Weakest class: a|b & *c*, F1 0.620 on 10 test rows. Classes" in first
    assert "2 rows of the source could not be used. Data" in first


def test_what_does_not_stand_out_is_not_said(results: Results) -> None:
    right = results.predictions.assign(predicted=results.predictions["label"], confidence=0.8725)
    fine = Results(**(vars(results) | {"predictions": right, "rejected": {}}))
    assert {finding.section for finding in summary.findings(fine)} == {"groups", "classes"}


@pytest.mark.parametrize(
    ("doubted", "said"),
    [(True, "Too few labels are held out to tell"), (False, "Pseudo-labels did not help on held-out labels")],
)
def test_the_summary_says_why_pseudo_labels_were_left_out(results: Results, doubted: bool, said: str) -> None:
    assert not summary.unhelpful_pseudo_labels(results)
    own = results.metrics | {"pseudo_label": results.metrics["pseudo_label"] | {"round": 0, "doubted": doubted}}
    found = summary.unhelpful_pseudo_labels(Results(**(vars(results) | {"metrics": own})))
    assert found and found.says.startswith(said) and found.says.endswith("they were left out.")


def luminance(colour: str) -> float:
    """Relative luminance (WCAG 2.2) of #rrggbb."""
    parts = np.array([int(colour[place : place + 2], 16) for place in (1, 3, 5)]) / 255
    linear = np.where(parts <= 0.04045, parts / 12.92, ((parts + 0.055) / 1.055) ** 2.4)
    return float(linear @ [0.2126, 0.7152, 0.0722])


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_texts_stand_out_from_what_is_behind_them(scheme: str) -> None:
    """WCAG 2.2, level AA: 4.5 for text, 3 for the parts of a figure."""
    style = (ROOT / "pipeline/pages/style.css").read_text()
    light, dark = re.findall(r":root \{(.*?)\}", style, re.DOTALL)[:2]
    colours = dict(re.findall(r"--([\w-]+): (#\w{6})", light))
    if scheme == "dark":
        colours |= dict(re.findall(r"--([\w-]+): (#\w{6})", dark))

    def contrast(front: str, back: str) -> float:
        pair = sorted((luminance(colours[front]), luminance(colours[back])), reverse=True)
        return (pair[0] + 0.05) / (pair[1] + 0.05)

    for front in ("ink", "quiet", "accent"):
        assert min(contrast(front, "paper"), contrast(front, "wash")) >= 4.5, front
    for name in ("bad", "warn", "good"):
        assert contrast(name, f"{name}-wash") >= 4.5, name
        assert contrast(name, "paper") >= 4.5, name
    assert contrast("accent", "track") >= 3 and contrast("whisker", "paper") >= 3
