"""Group metrics against counts by hand, with small groups, unknown groups and no groups."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from pipeline.core import table
from pipeline.core.errors import UserError
from pipeline.core.params import Fairness
from pipeline.core.stage import Paths
from pipeline.metrics import group_metrics as by_groups
from pipeline.stages import fairness
from tests.support import word_bundle

ROOT = Path(__file__).parents[4]
PARAMS = Fairness(min_group_size=30, auc_class=None, bootstrap=1000, interval=0.95, seed=0)
Cell = tuple[str | None, str, str, int]  # group, label, predicted, rows


def project(root: Path, cells: list[Cell], attribute: str | None = "site") -> Paths:
    """A project with a test split and predictions: so many rows in each cell."""
    rows = [(group, label, predicted) for group, label, predicted, count in cells for _ in range(count)]
    ids = [f"row{i}" for i in range(len(rows))]
    groups = pd.DataFrame({f"group.{attribute}": [group for group, _, _ in rows]}) if attribute else None
    labels: list[str | None] = [label for _, label, _ in rows]
    test = table.make(id=ids, source_id=ids, text=ids, label=labels, origin="gold", groups=groups)
    paths = Paths(root)
    table.write(test, paths.data("ingest") / "test.parquet")
    paths.data("evaluate").mkdir(parents=True)
    predicted = [prediction for _, _, prediction in rows]
    predictions = pd.DataFrame({"id": ids[::-1], "label": labels[::-1], "predicted": predicted[::-1]})
    predictions = predictions.assign(confidence=1.0)
    for label in sorted({*labels, *predicted}):  # type: ignore[type-var]
        predictions[f"score.{label}"] = [float(prediction == label) for prediction in predicted[::-1]]
    predictions.to_parquet(paths.data("evaluate") / "predictions.parquet")
    write_augmentation_inputs(paths, test.iloc[:0])
    return paths


def write_augmentation_inputs(paths: Paths, gold: pd.DataFrame, **stages: pd.DataFrame) -> None:
    """Write what else the stage reads: gold rows, rows made of them, a bundle of two words, and the identity terms."""
    table.write(gold, paths.data("ingest") / "train.parquet")
    for stage in ("synonyms", "back_translate"):
        table.write(stages.get(stage, gold.iloc[:0]), paths.data(stage) / "train.parquet")
    rejected = pd.DataFrame({"id": [], "source_id": [], "text": [], "reason": []}, dtype="str")
    rejected.to_parquet(paths.data("back_translate") / "rejected.parquet")
    word_bundle.build(paths.data("export") / "bundle", {"good": [0, 5], "bad": [5, 0]}, ["no", "yes"])
    (paths.root / "data" / "identity_terms").symlink_to(ROOT / "data" / "identity_terms")


TWO_GROUPS = [
    ("a", "yes", "yes", 30), ("a", "yes", "no", 10), ("a", "no", "no", 50), ("a", "no", "yes", 10),
    ("b", "yes", "yes", 20), ("b", "yes", "no", 20), ("b", "no", "no", 40),
]  # fmt: skip


def read_groups(paths: Paths) -> pd.DataFrame:
    return pd.read_csv(paths.data("fairness") / "groups.csv")


@pytest.mark.slow
def test_rates_and_gaps_are_those_counted_by_hand(tmp_path):
    paths = project(tmp_path, TWO_GROUPS)
    metrics = fairness.run(PARAMS, paths)
    groups = read_groups(paths).set_index(["group", "class"])
    assert groups.loc[("a", np.nan), ["rows", "accuracy"]].tolist() == [100, 0.8]
    assert groups.loc[("b", np.nan), ["rows", "accuracy"]].tolist() == [80, 0.75]
    rates = ["positives", "negatives", "selection_rate", "true_positive_rate", "false_positive_rate"]
    assert groups.loc[("a", "yes"), rates].tolist() == pytest.approx([40, 60, 0.4, 30 / 40, 10 / 60])
    assert groups.loc[("b", "yes"), rates].tolist() == pytest.approx([40, 40, 0.25, 20 / 40, 0])
    assert groups.loc[("b", "no"), rates].tolist() == pytest.approx([40, 40, 0.75, 1, 20 / 40])
    assert metrics["status"] == metrics["site.status"] == "ok"
    assert metrics["site.accuracy_gap"] == pytest.approx(0.05)
    assert (metrics["site.lowest_accuracy_group"], metrics["site.highest_accuracy_group"]) == ("b", "a")
    assert metrics["site.selection_rate_gap"] == pytest.approx(0.15)
    assert metrics["site.true_positive_rate_gap"] == pytest.approx(0.25)
    assert metrics["site.true_positive_rate_gap_class"] == "yes"
    assert metrics["site.false_positive_rate_gap"] == pytest.approx(0.25)
    assert metrics["site.false_positive_rate_gap_class"] == "no"


def test_the_interval_of_an_accuracy_gap_is_that_of_a_difference_of_two_shares(tmp_path):
    metrics = fairness.run(PARAMS, project(tmp_path, TWO_GROUPS))
    error = np.sqrt(0.8 * 0.2 / 100 + 0.75 * 0.25 / 80)
    assert metrics["site.accuracy_gap_high"] == pytest.approx(0.05 + 1.96 * error, abs=0.015)
    assert metrics["site.accuracy_gap_low"] == 0


def test_equal_groups_are_seldom_called_different():
    rng = np.random.default_rng(0)
    params = PARAMS.model_copy(update={"bootstrap": 200})
    lows, highs = [], []
    for right in rng.binomial(60, 0.7, (100, 6)):  # 100 trials with six groups of 60 rows, all of them 70% right
        drawn = by_groups.bootstrap_deviations([np.array([[k, 60 - k], [0, 0]]) for k in right], params)["accuracy"]
        gap, _ = by_groups.gap_with_interval("accuracy", right[:, None] / 60, drawn, 0.95)
        lows.append(gap["accuracy_gap_low"])
        highs.append(gap["accuracy_gap_high"])
    assert np.mean(np.array(lows) > 0) <= 0.1
    assert min(highs) > 0


def test_a_group_below_the_minimum_size_is_insufficient_and_in_no_gap(tmp_path):
    paths = project(tmp_path, [*TWO_GROUPS, ("c", "yes", "no", 29)])
    metrics = fairness.run(PARAMS, paths)
    assert metrics["site.accuracy_gap"] == pytest.approx(0.05)
    assert metrics["site.insufficient_groups"] == ["c"]
    assert metrics["site.status"] == "ok"
    groups = read_groups(paths)
    small = groups[groups["group"].eq("c") & groups["class"].isna()].iloc[0]
    assert (small["status"], small["rows"], small["accuracy"]) == ("insufficient", 29, 0)


def test_rows_of_unknown_group_are_shown_and_in_no_gap(tmp_path):
    paths = project(tmp_path, [*TWO_GROUPS, (None, "yes", "no", 50)])
    metrics = fairness.run(PARAMS, paths)
    assert metrics["site.accuracy_gap"] == pytest.approx(0.05)
    assert metrics["site.unknown_rows"] == 50
    assert metrics["site.insufficient_groups"] == []
    groups = read_groups(paths)
    assert set(groups.loc[groups["group"].eq("unknown"), "status"]) == {"unknown"}


def test_an_attribute_with_one_large_group_is_insufficient(tmp_path):
    paths = project(tmp_path, [("a", "yes", "yes", 60), ("b", "yes", "no", 5)])
    metrics = fairness.run(PARAMS, paths)
    assert metrics["status"] == metrics["site.status"] == "insufficient"
    assert metrics["site.accuracy_gap"] is None
    assert (paths.data("fairness") / "groups.png").exists()


def test_a_rate_of_too_few_rows_is_in_no_gap(tmp_path):
    rare = [("a", "rare", "rare", 5), ("b", "rare", "no", 5)]
    metrics = fairness.run(PARAMS, project(tmp_path, [*TWO_GROUPS, *rare]))
    assert metrics["site.true_positive_rate_gap_class"] == "yes"
    assert metrics["site.true_positive_rate_gap_classes"] == 2
    assert metrics["site.selection_rate_gap_classes"] == 3


def test_a_rate_of_no_rows_is_empty_not_zero(tmp_path):
    paths = project(tmp_path, [("a", "yes", "yes", 40), ("b", "yes", "yes", 40), ("b", "no", "no", 40)])
    fairness.run(PARAMS, paths)
    groups = read_groups(paths).set_index(["group", "class"])
    assert np.isnan(groups.loc[("a", "no"), "true_positive_rate"])
    assert np.isnan(groups.loc[("a", "yes"), "false_positive_rate"])


def test_without_group_attributes_the_status_says_so_and_files_are_written(tmp_path):
    paths = project(tmp_path, TWO_GROUPS, attribute=None)
    metrics = fairness.run(PARAMS, paths)
    assert (metrics["attributes"], metrics["status"]) == (0, "no group attributes")
    assert read_groups(paths).empty
    assert (paths.data("fairness") / "groups.png").exists()


def test_predictions_of_another_test_split_are_an_error(tmp_path):
    paths = project(tmp_path, TWO_GROUPS)
    path = paths.data("evaluate") / "predictions.parquet"
    pd.read_parquet(path).iloc[1:].to_parquet(path)
    with pytest.raises(UserError, match="expected a prediction for each row.*rerun evaluate"):
        fairness.run(PARAMS, paths)


def test_group_names_that_a_spreadsheet_would_run_as_formulas_are_neutralised(tmp_path):
    paths = project(tmp_path, [("=cmd()", *cell[1:]) for cell in TWO_GROUPS])
    fairness.run(PARAMS, paths)
    assert set(read_groups(paths)["group"]) == {"'=cmd()"}
