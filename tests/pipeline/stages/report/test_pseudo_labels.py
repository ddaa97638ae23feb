"""The section on pseudo-labels: numbers by round, class and group, and what precision is measured on."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from pipeline.core import table
from pipeline.core.stage import write_json
from pipeline.stages.pseudo_label import audit
from pipeline.stages.pseudo_label.probe import Probe
from pipeline.stages.pseudo_label.round_selection import RoundChoice
from pipeline.stages.pseudo_label.rounds import Round, TeacherEstimate
from pipeline.stages.pseudo_label.teacher import Teacher
from pipeline.stages.report import pseudo_labels
from tests.support.report_inputs import LABELS, write_run
from tests.support.reporting import change_json, run_report


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return write_run(tmp_path)


def section(root: Path) -> str:
    """The text of the section."""
    page, _ = run_report(root)
    return page.text[page.text.index("Round 1 of 2") : page.text.index("What training logged")]


def change_metrics(root: Path, **metrics: Any) -> None:
    """Change metrics of the stage pseudo_label."""
    change_json(root / "data/pseudo_label/metrics.json", **metrics)


def test_the_kept_round_is_named_and_each_round_has_its_precision_and_drift(root: Path) -> None:
    text = section(root)
    assert "Round 1 of 2 was kept (judged by folds)" in text
    assert "0 0 0.811 – 1 50 0.912 0.000 2 70 0.888 0.136" in text


def test_classes_of_the_kept_round_are_listed_the_least_precise_first(root: Path) -> None:
    text = section(root)
    rows = [
        "a|b & *c* 20 0.400 0.250 16 0.611 0.800",
        f"{LABELS[0]} 10 0.200 0.234 16 0.900 0.800",
        "delivery 15 0.300 0.250 16 1.000 0.800",
        "refund 5 0.100 0.266 16 – 0.800",
    ]
    assert " ".join(rows) in text
    assert "more classes" not in text
    assert "cannot be told" not in text


def test_the_15_least_precise_of_many_classes_are_shown(root: Path) -> None:
    path = root / "data/pseudo_label/classes.csv"
    many = pd.DataFrame({"round": 1, "class": [f"class {i:03}" for i in range(150)], "accepted": 2, "prior": 1 / 150})
    precision = [1 - (i * 7 % 150) / 150 for i in range(150)]
    table.write_csv(many.assign(held_out_rows=3, precision=precision, recall=0.5), path)
    text = section(root)
    assert text.count("class 1") + text.count("class 0") == 15
    worst = many["class"][pd.Series(precision).nsmallest(15).index]
    assert all(name in text for name in worst)
    assert "135 more classes are in data/pseudo_label/classes.csv." in text


def test_few_held_out_rows_give_no_precision_by_class(root: Path) -> None:
    change_metrics(root, held_out_rows=29)
    text = section(root)
    assert "With 29 held-out rows, precision by class cannot be told; it takes 30 at least." in text
    assert "refund 5 0.100 0.266" in text
    assert "0.611" not in text
    assert text.index("refund 5") < text.index("delivery 15") < text.index("a|b & *c* 20")


def test_groups_are_compared_where_they_have_enough_rows(root: Path) -> None:
    text = section(root)
    assert "region +south 100 50 0.500" in text
    assert "region: rows of +south got a pseudo-label 0.667 times as often as those of north." in text


def test_groups_too_small_or_without_a_pseudo_label_are_not_compared(root: Path) -> None:
    path = root / "data/pseudo_label/groups.csv"
    groups = pd.read_csv(path)
    table.write_csv(groups.assign(pool=3), path)
    assert "region: too few rows to compare groups." in section(root)
    table.write_csv(groups.assign(accepted=0, share=0.0), path)
    assert "region: too few pseudo-labels to compare groups." in section(root)
    table.write_csv(groups.head(0), path)
    assert "nothing is known about whose rows got a pseudo-label" in section(root)


@pytest.mark.parametrize(
    ("judged_by", "rows", "sentence"),
    [
        ("folds", 64, "right answers on 64 gold rows, each answered by a teacher that had not seen it"),
        ("validation", 1200, "right answers on 1,200 validation rows, which no teacher learned from"),
        ("none: too few gold rows for folds", 0, "no label could be held out (too few gold rows for folds)"),
    ],
)
def test_the_section_says_what_precision_was_measured_on(root: Path, judged_by: str, rows: int, sentence: str) -> None:
    change_metrics(root, judged_by=judged_by, held_out_rows=rows)
    text = section(root)
    assert sentence in text
    assert "0.654" in text
    assert ("words have a part of 0.300" in text) == (rows > 0)


@pytest.mark.parametrize("names_first", [True, False])
def test_the_section_says_if_the_class_names_chose_the_rows_of_round_1(root: Path, names_first: bool) -> None:
    for rows in (64, 0):
        change_metrics(root, names_first=names_first, held_out_rows=rows)
        assert ("The names of the classes chose the rows of round 1" in section(root)) == names_first


@pytest.mark.parametrize(
    ("agreement", "sentence"),
    [
        (0.5812, "by 0.581 (Cohen's kappa; 0.667 is asked for), which is too little: no pseudo-label was kept"),
        (0.8123, "by 0.812 (Cohen's kappa; 0.667 is asked for), which is enough: the last round was kept"),
    ],
)
def test_the_section_says_what_the_two_views_decided(root: Path, agreement: float, sentence: str) -> None:
    assert "So few labels" not in section(root)
    change_metrics(root, agreement=agreement, doubted=agreement < 0.667, held_out_rows=8)
    assert sentence in section(root)


def test_the_section_says_that_few_held_out_labels_were_against_a_round() -> None:
    metrics = {"agreement": 0.81, "doubted": False, "round": 0}
    sentence = pseudo_labels.view_agreement(metrics, 0.667)
    assert "enough, but the held-out labels are clearly against the last round: no" in sentence


def test_the_section_says_that_there_is_no_second_view() -> None:
    assert "no second view" in pseudo_labels.view_agreement({"agreement": None, "doubted": True}, 0.667)
    assert not pseudo_labels.view_agreement({"agreement": None, "doubted": False}, 0.667)


def test_the_page_reads_what_the_stage_writes(root: Path) -> None:
    """The section shows the real audit of two rounds over four classes."""
    teacher = Teacher(Probe(np.zeros((4, 2), np.float32), np.zeros(4, np.float32)), mix_weight=0.5)
    positions = np.arange(40)
    rounds = [Round(positions[:n], positions[:n] % 4, np.full(n, 0.9), np.full(4, 0.25), teacher) for n in (0, 40)]
    truth = np.arange(36) % 4
    choice = RoundChoice(
        *("folds", truth, np.stack([truth * 0, truth]), np.array([1.0, 0.5]), 1, TeacherEstimate(1.0, 0.7, 0.5)),
        *(True, truth, np.eye(4)),
    )
    pool = pd.DataFrame({"group.region": ["=north"] * 30 + ["south"] * 30})
    folder = root / "data/pseudo_label"
    audit.write_audit(rounds, choice, pool, LABELS, folder)
    write_json(audit.metrics(rounds, choice, len(pool), ships_teacher=True), folder / "metrics.json")
    page, _ = run_report(root)
    assert "Round 1 of 1 was kept (judged by folds)" in page.text
    assert "delivery 10 0.250 0.250 9 1.000 1.000" in page.text
    assert "rows of south got a pseudo-label 0.333 times as often as those of =north." in page.text


def test_no_text_of_a_row_is_in_the_section_and_labels_are_escaped(root: Path) -> None:
    page, _ = run_report(root)
    assert "secret" not in section(root)
    assert LABELS[0] in section(root)
    assert not page.attributes_of("script")
