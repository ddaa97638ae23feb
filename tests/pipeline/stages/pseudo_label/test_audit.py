"""The audit of pseudo-labels, on synthetic rounds: what is counted, and what is left empty."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from pipeline.core import table
from pipeline.stages.pseudo_label import audit
from pipeline.stages.pseudo_label.choice import Choice
from pipeline.stages.pseudo_label.features import Rows
from pipeline.stages.pseudo_label.heads import Heads
from pipeline.stages.pseudo_label.rounds import Round, SelfTraining

LABELS = ["card", "=loan", "other"]


HEADS = Heads(np.zeros((3, 2), np.float32), np.zeros(3, np.float32))


def round_of(rows: list[int], labels: list[int], prior: tuple[float, float, float] = (0.5, 0.3, 0.2)) -> Round:
    """A round that accepted these pool rows."""
    return Round(np.array(rows, int), np.array(labels, int), np.full(len(rows), 0.75), np.array(prior), HEADS)


ROUNDS = [round_of([], []), round_of([0, 2, 3, 5], [0, 0, 1, 1]), round_of([0, 1, 2, 3, 4], [0, 0, 0, 0, 1])]


TRUTH = np.array([0, 0, 0, 1, 1, 2])


def logits_of(predicted: list[list[int]]) -> np.ndarray:
    """Logits whose largest ones are these predictions."""
    return np.eye(3, dtype=np.float32)[np.array(predicted)]


CHOICE = Choice(
    *("folds", "names", 2, np.arange(6), np.array([0, 0, 1, 1, 2, 2]), TRUTH),
    logits_of([[1, 1, 1, 1, 1, 1], [0, 0, 0, 1, 0, 0], [0, 0, 1, 1, 1, 0]]),
)


NOTHING_HELD_OUT = Choice(
    *("none: too few gold rows for folds", "names", 2, TRUTH[:0], TRUTH[:0], TRUTH[:0]), np.zeros((3, 0, 3))
)
TRAINED = SelfTraining(ROUNDS, 0.71234, foreign=3)
IDS = pd.Series(list("abcdef"))


POOL = pd.DataFrame({"group.region": ["a", "a", "a", "+b", "+b", "+b"], "group.age": ["old", None] * 3, "text": "?"})


def test_precision_and_drift_by_round() -> None:
    rounds = audit.rounds_table(ROUNDS, CHOICE, LABELS)
    assert rounds["accepted"].tolist() == [0, 4, 5]
    assert rounds["precision"].tolist() == pytest.approx([2 / 6, 4 / 6, 4 / 6], abs=1e-6)
    assert rounds["drift"].tolist() == pytest.approx([np.nan, 0, 0.3], nan_ok=True)
    assert rounds["brier"].is_monotonic_decreasing
    assert rounds["share.card"].tolist() == [0, 0.5, 0.8]
    assert rounds["prior.=loan"].tolist() == [0.3] * 3
    assert rounds["least_confidence"].tolist() == pytest.approx([np.nan, 0.75, 0.75], nan_ok=True)


def test_precision_and_recall_of_each_class_in_each_round() -> None:
    classes = audit.classes_table(ROUNDS, CHOICE, LABELS)
    assert len(classes) == 9
    kept = classes[classes["round"] == 2].set_index("class")
    assert kept["accepted"].tolist() == [4, 1, 0]
    assert kept["held_out_rows"].tolist() == [3, 2, 1]
    assert kept["called"].tolist() == [3, 3, 0]
    assert kept["right"].tolist() == [2, 2, 0]
    assert kept["precision"].tolist() == pytest.approx([2 / 3, 2 / 3, np.nan], abs=1e-6, nan_ok=True)
    assert kept["recall"].tolist() == pytest.approx([2 / 3, 1, 0], abs=1e-6)
    assert kept["prior"].tolist() == [0.5, 0.3, 0.2]


def test_a_class_without_a_held_out_row_has_no_recall() -> None:
    choice = replace(CHOICE, truth=TRUTH[:5], logits=CHOICE.logits[:, :5], held_out=np.arange(5))
    other = audit.classes_table(ROUNDS, choice, LABELS).query("`class` == 'other'")
    assert other["held_out_rows"].tolist() == [0, 0, 0]
    assert other["recall"].isna().all()


def test_accepted_rows_are_counted_by_group_and_for_an_unknown_group() -> None:
    groups = audit.groups_table(ROUNDS[2], POOL)
    assert sorted(groups.itertuples(index=False, name=None)) == [
        ("age", "old", 3, 3, 1.0),
        ("age", "unknown", 3, 2, round(2 / 3, 6)),
        ("region", "+b", 3, 2, round(2 / 3, 6)),
        ("region", "a", 3, 3, 1.0),
    ]


def test_no_group_attribute_gives_an_empty_table_with_its_columns() -> None:
    assert audit.groups_table(ROUNDS[2], POOL[["text"]]).columns.tolist() == [
        *("attribute", "group", "pool", "accepted", "share")
    ]


def test_without_held_out_labels_precision_is_empty_not_zero() -> None:
    classes = audit.classes_table(ROUNDS, NOTHING_HELD_OUT, LABELS)
    assert classes[["precision", "recall"]].isna().all(axis=None)
    assert (classes[["held_out_rows", "called", "right"]] == 0).all(axis=None)
    assert classes["accepted"].sum() == 9
    assert audit.rounds_table(ROUNDS, NOTHING_HELD_OUT, LABELS)["precision"].isna().all()
    assert "precision" not in audit.metrics(TRAINED, NOTHING_HELD_OUT, 6, 5, "", ships_teacher=True)


def test_a_single_round_has_no_drift() -> None:
    rounds = audit.rounds_table(ROUNDS[:1], NOTHING_HELD_OUT, LABELS)
    assert rounds[["drift", "brier"]].isna().all(axis=None)
    assert rounds["accepted"].tolist() == [0]


def test_names_that_look_like_formulas_are_neutralised(tmp_path: Path) -> None:
    audit.write_audit(ROUNDS, CHOICE, Rows(POOL.assign(id=IDS), 0, 6, 6), LABELS, tmp_path)
    for name in ("rounds.csv", "classes.csv", "groups.csv"):
        lines = (tmp_path / name).read_text().splitlines()
        assert not [cell for line in lines for cell in line.split(",") if cell.startswith(("=", "+", "@"))]
    classes = pd.read_csv(tmp_path / "classes.csv")
    assert [table.strip_apostrophe(label) for label in classes["class"][:3]] == LABELS
    assert (tmp_path / "rounds.png").read_bytes().startswith(b"\x89PNG")


def test_metrics_name_the_kept_round_its_evidence_and_its_precision() -> None:
    assert audit.metrics(TRAINED, CHOICE, 6, 5, "", ships_teacher=True) == {
        "pool": 6,
        "accepted": 5,
        "foreign": 3,
        "round": 2,
        "judged_by": "folds",
        "held_out_rows": 6,
        "lead": "names",
        "class_names_heard": True,
        "names_doubted": "",
        "neighbour_agreement": 0.7123,
        "ships_teacher": True,
        "precision_without": round(2 / 6, 6),
        "precision": round(4 / 6, 6),
    }


def test_logits_of_the_kept_round_are_written_for_each_held_out_row() -> None:
    held_out = audit.held_out_table(CHOICE, IDS, LABELS)
    assert held_out["id"].tolist() == list("abcdef")
    assert held_out["fold"].tolist() == [0, 0, 1, 1, 2, 2]
    assert held_out["logit.=loan"].tolist() == [0, 0, 1, 1, 1, 0]
