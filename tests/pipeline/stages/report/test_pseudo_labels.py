"""The section on pseudo-labels: numbers by round, class and group, and what precision is measured on."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from pipeline.core import table
from pipeline.core.stage import write_json
from pipeline.stages.pseudo_label import audit
from pipeline.stages.pseudo_label.choice import Choice
from pipeline.stages.pseudo_label.features import Rows
from pipeline.stages.pseudo_label.heads import Heads
from pipeline.stages.pseudo_label.rounds import Round, SelfTraining
from tests.support.report_inputs import LABELS, write_run
from tests.support.reporting import change_json, run_report


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return write_run(tmp_path)


def section(root: Path) -> str:
    """The text of the section."""
    page, _ = run_report(root)
    return page.text[page.text.index("Round 1 of 2") : page.text.index("New classes", page.text.index("Round 1 of 2"))]


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
        ("folds", 64, "right answers on 64 gold rows, each answered by heads that had not seen it"),
        ("validation", 1200, "right answers on 1,200 validation rows, which no head learned from"),
        ("none: too few gold rows for folds", 0, "no label could be held out (too few gold rows for folds)"),
    ],
)
def test_the_section_says_what_precision_was_measured_on(root: Path, judged_by: str, rows: int, sentence: str) -> None:
    change_metrics(root, judged_by=judged_by, held_out_rows=rows)
    assert sentence in section(root)


@pytest.mark.parametrize(
    ("lead", "sentence"),
    [("names", "The names of the classes led"), ("gold", "Gold rows led"), ("no names", "Gold rows alone made")],
)
def test_the_section_says_who_led_and_how_many_neighbours_agree(root: Path, lead: str, sentence: str) -> None:
    change_metrics(root, lead=lead)
    text = section(root)
    assert sentence in text and "by 0.712 (Cohen's kappa)" in text
    assert "would help" not in text and "near no class" not in text


def test_the_section_says_when_descriptions_would_help_and_what_was_left_out(root: Path) -> None:
    change_metrics(root, names_doubted="names such as 'LABEL_0' say nothing about a text", foreign=1200)
    text = section(root)
    assert "Descriptions of the classes (ingest.labels.descriptions) would help: names such as" in text
    assert "1,200 pool rows are near no class, and were left out." in text


def test_the_page_reads_what_the_stage_writes(root: Path) -> None:
    """The section shows the real audit of two rounds over four classes."""
    heads = Heads(np.zeros((4, 2), np.float32), np.zeros(4, np.float32))
    positions = np.arange(40)
    rounds = [Round(positions[:n], positions[:n] % 4, np.full(n, 0.9), np.full(4, 0.25), heads) for n in (0, 40)]
    truth = np.arange(36) % 4
    logits = np.stack([np.eye(4)[truth * 0], np.eye(4)[truth]])
    choice = Choice("folds", "names", 1, np.arange(36), truth, truth, logits)
    groups = ["=north"] * 30 + ["south"] * 30
    pool = pd.DataFrame({"group.region": groups, "id": [f"row {i}" for i in range(60)]})
    folder = root / "data/pseudo_label"
    audit.write_audit(rounds, choice, Rows(pool, 0, len(pool), len(pool)), LABELS, folder)
    metrics = audit.metrics(SelfTraining(rounds, 0.7, 0), choice, len(pool), 40, "", ships_teacher=True)
    write_json(metrics, folder / "metrics.json")
    page, _ = run_report(root)
    assert "Round 1 of 1 was kept (judged by folds)" in page.text
    assert "delivery 10 0.250 0.250 9 1.000 1.000" in page.text
    assert "rows of south got a pseudo-label 0.333 times as often as those of =north." in page.text


def test_no_text_of_a_row_is_in_the_section_and_labels_are_escaped(root: Path) -> None:
    page, _ = run_report(root)
    assert "secret" not in section(root)
    assert LABELS[0] in section(root)
    assert not page.attributes_of("script")
