"""What the page says of pseudo-labels: by round, class and group, and what the numbers stand on."""

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
from tests.support.reporting import LABELS, change, fill, render


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return fill(tmp_path)


def section(root: Path) -> str:
    """What the page's section on pseudo-labels says."""
    page, _ = render(root)
    return page.text[page.text.index("Round 1 of 2") : page.text.index("What training logged")]


def judged(root: Path, **metrics: Any) -> None:
    change(root / "data/pseudo_label/metrics.json", **metrics)


def test_the_kept_round_is_named_and_each_round_has_its_precision_and_drift(root: Path) -> None:
    said = section(root)
    assert "Round 1 of 2 was kept (judged by folds)" in said
    assert "0 0 0.811 – 1 50 0.912 0.000 2 70 0.888 0.136" in said


def test_classes_of_the_kept_round_are_listed_the_least_precise_first(root: Path) -> None:
    said = section(root)
    rows = [
        "a|b & *c* 20 0.400 0.250 16 0.611 0.800",
        f"{LABELS[0]} 10 0.200 0.234 16 0.900 0.800",
        "delivery 15 0.300 0.250 16 1.000 0.800",
        "refund 5 0.100 0.266 16 – 0.800",
    ]
    assert " ".join(rows) in said
    assert "more classes" not in said
    assert "cannot be told" not in said


def test_of_many_classes_the_15_least_precise_are_shown(root: Path) -> None:
    path = root / "data/pseudo_label/classes.csv"
    many = pd.DataFrame({"round": 1, "class": [f"class {i:03}" for i in range(150)], "accepted": 2, "prior": 1 / 150})
    precision = [1 - (i * 7 % 150) / 150 for i in range(150)]
    table.write_csv(many.assign(held_out_rows=3, precision=precision, recall=0.5), path)
    said = section(root)
    assert said.count("class 1") + said.count("class 0") == 15
    worst = many["class"][pd.Series(precision).nsmallest(15).index]
    assert all(name in said for name in worst)
    assert "135 more classes are in data/pseudo_label/classes.csv." in said


def test_from_few_held_out_rows_precision_by_class_is_not_told(root: Path) -> None:
    judged(root, held_out_rows=29)
    said = section(root)
    assert "With 29 held-out rows, precision by class cannot be told; it takes 30 at least." in said
    assert "refund 5 0.100 0.266" in said
    assert "0.611" not in said
    assert said.index("refund 5") < said.index("delivery 15") < said.index("a|b & *c* 20")


def test_groups_are_compared_where_they_have_enough_rows(root: Path) -> None:
    said = section(root)
    assert "region +south 100 50 0.500" in said
    assert "region: rows of +south got a pseudo-label 0.667 times as often as those of north." in said


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
    ("by", "rows", "said"),
    [
        ("folds", 64, "right answers on 64 gold rows, each answered by a teacher that had not seen it"),
        ("validation", 1200, "right answers on 1,200 validation rows, which no teacher learned from"),
        ("none: too few gold rows for folds", 0, "no label could be held out (too few gold rows for folds)"),
    ],
)
def test_where_precision_comes_from_is_said(root: Path, by: str, rows: int, said: str) -> None:
    judged(root, judged_by=by, held_out_rows=rows)
    found = section(root)
    assert said in found
    assert "0.654" in found
    assert ("words have a part of 0.300" in found) == (rows > 0)


@pytest.mark.parametrize("first", [True, False])
def test_who_chose_the_rows_of_round_1_is_said_where_it_was_the_names(root: Path, first: bool) -> None:
    for rows in (64, 0):
        judged(root, names_first=first, held_out_rows=rows)
        assert ("The names of the classes chose the rows of round 1" in section(root)) == first


@pytest.mark.parametrize(
    ("agreement", "said"),
    [
        (0.5812, "by 0.581 (Cohen's kappa; 0.667 is asked for), which is too little: no pseudo-label was kept"),
        (0.8123, "by 0.812 (Cohen's kappa; 0.667 is asked for), which is enough: the last round was kept"),
    ],
)
def test_what_the_views_decided_where_few_labels_are_held_out_is_said(root: Path, agreement: float, said: str) -> None:
    assert "So few labels" not in section(root)
    judged(root, agreement=agreement, doubted=agreement < 0.667, held_out_rows=8)
    assert said in section(root)


def test_that_the_few_held_out_labels_were_against_a_round_is_said() -> None:
    found = {"agreement": 0.81, "doubted": False, "round": 0}
    assert "enough, but the held-out labels are clearly against the last round: no" in pseudo_labels.view_agreement(
        found, 0.667
    )


def test_that_there_is_no_second_view_to_ask_is_said() -> None:
    assert "no second view" in pseudo_labels.view_agreement({"agreement": None, "doubted": True}, 0.667)
    assert not pseudo_labels.view_agreement({"agreement": None, "doubted": False}, 0.667)


def test_what_the_stage_writes_is_what_the_page_reads(root: Path) -> None:
    """The real audit of two rounds over four classes, in place of the made-up files."""
    teacher = Teacher(Probe(np.zeros((4, 2), np.float32), np.zeros(4, np.float32)), mix_weight=0.5)
    taken = np.arange(40)
    rounds = [Round(taken[:n], taken[:n] % 4, np.full(n, 0.9), np.full(4, 0.25), teacher) for n in (0, 40)]
    truth = np.arange(36) % 4
    judged_by = RoundChoice(
        *("folds", truth, np.stack([truth * 0, truth]), np.array([1.0, 0.5]), 1, TeacherEstimate(1.0, 0.7, 0.5)),
        *(True, truth, np.eye(4)),
    )
    pool = pd.DataFrame({"group.region": ["=north"] * 30 + ["south"] * 30})
    folder = root / "data/pseudo_label"
    audit.write_audit(rounds, judged_by, pool, LABELS, folder)
    write_json(audit.metrics(rounds, judged_by, len(pool), ships_teacher=True), folder / "metrics.json")
    page, _ = render(root)
    assert "Round 1 of 1 was kept (judged by folds)" in page.text
    assert "delivery 10 0.250 0.250 9 1.000 1.000" in page.text
    assert "rows of south got a pseudo-label 0.333 times as often as those of =north." in page.text


def test_no_text_of_a_row_is_in_the_section_and_labels_are_escaped(root: Path) -> None:
    page, _ = render(root)
    assert "secret" not in section(root)
    assert LABELS[0] in section(root)
    assert not page.all("script")
