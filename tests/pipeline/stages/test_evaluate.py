"""Evaluation of a bundle of known predictions, beside baselines trained on the same gold rows."""

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import accuracy_score, f1_score

from pipeline.core import table
from pipeline.core.errors import UserError
from pipeline.core.stage import Paths
from pipeline.stages import evaluate
from tests.support import word_bundle

LABELS = ["refund", "delivery", "account"]
# The bundle knows these words only: it is right about some texts, wrong about others.
WORDS = {"refund": [3.0, 0.0, 0.0], "courier": [0.0, 3.0, 0.0], "password": [0.0, 0.0, 3.0], "parcel": [1.0, 0.0, 0.0]}


@pytest.fixture
def project(tmp_path, rows, pairs):
    """``project(gold=..., test=...)`` writes the outputs of ingest and export."""

    def make(gold: list, test: list) -> Paths:
        paths = Paths(tmp_path)
        for name, part in {"train": gold, "test": test}.items():
            whole = rows(part) if part else table.empty_like(rows(pairs[:1]))
            table.write(whole, paths.data("ingest") / f"{name}.parquet")
        word_bundle.build(paths.data("export") / "bundle", WORDS, LABELS)
        return paths

    return make


def run(params, paths: Paths) -> dict:
    return evaluate.run(params().evaluate, params().encoder, paths)


def test_metrics_are_those_of_the_predictions_that_were_written(project, params, pairs):
    paths = project(gold=pairs[:30], test=pairs[30:])
    metrics = run(params, paths)
    predictions = pd.read_parquet(paths.data("evaluate") / "predictions.parquet")
    assert predictions["id"].tolist() == table.read(paths.data("ingest") / "test.parquet")["id"].tolist()
    assert metrics["accuracy"] == pytest.approx(accuracy_score(predictions["label"], predictions["predicted"]))
    assert metrics["macro_f1"] == pytest.approx(
        f1_score(predictions["label"], predictions["predicted"], average="macro")
    )
    assert metrics["accuracy_low"] < metrics["accuracy"] < metrics["accuracy_high"]
    assert metrics["macro_f1_low"] < metrics["macro_f1"] < metrics["macro_f1_high"]
    assert (metrics["test_rows"], metrics["classes"]) == (96, 3)
    scores = predictions[[f"score.{label}" for label in LABELS]]
    assert set(scores.dtypes) == {np.dtype("float32")}
    np.testing.assert_allclose(scores.max(axis=1), predictions["confidence"])
    assert (scores.idxmax(axis=1) == "score." + predictions["predicted"]).all()


def test_baselines_learn_from_the_gold_rows_and_gain_is_measured_on_the_same_rows(project, params, pairs):
    metrics = run(params, project(gold=pairs[:60], test=pairs[60:]))
    probe, tfidf = metrics["baseline"]["probe"], metrics["baseline"]["tfidf"]
    assert tfidf["accuracy"] > 0.8
    assert probe["accuracy"] > 0.5
    assert metrics["gain_over_probe"] == pytest.approx(metrics["accuracy"] - probe["accuracy"])
    assert metrics["gain_over_probe_low"] <= metrics["gain_over_probe"] <= metrics["gain_over_probe_high"]


def test_two_runs_give_equal_metrics(project, params, pairs):
    paths = project(gold=pairs[:30], test=pairs[30:])
    assert run(params, paths) == run(params, paths)


def test_rows_that_are_not_gold_do_not_train_the_baselines(rows, pairs):
    train = pd.concat([rows(pairs[:6]), rows(pairs[6:12], origin="pseudo"), rows([("text", None)])])
    assert len(evaluate.gold_rows(train)) == 6


def test_without_gold_rows_the_baselines_are_null_with_the_reason(project, params, pairs):
    metrics = run(params, project(gold=[], test=pairs))
    assert metrics["baseline"]["probe"]["accuracy"] is None
    assert metrics["baseline"]["tfidf"]["reason"] == "0 gold rows of 0 classes: nothing to train on"
    assert metrics["gain_over_probe"] is None
    assert metrics["test_rows_without_gold_label"] == len(pairs)


def test_test_classes_without_a_gold_row_and_the_largest_class_are_measured(project, params, pairs):
    gold = [pair for pair in pairs[:30] if pair[1] != "account"]
    test = [*[pair for pair in pairs[30:] if pair[1] != "account"], *[pair for pair in pairs if pair[1] == "account"]]
    metrics = run(params, project(gold=gold, test=test))
    assert metrics["test_classes_without_gold_label"] == {"account": metrics["test_rows_without_gold_label"]}
    assert metrics["test_rows_without_gold_label"] == 42
    assert metrics["largest_class"] == "account"
    assert metrics["largest_class_share"] == pytest.approx(42 / 106)
    assert metrics["baseline"]["largest_class"]["accuracy"] == pytest.approx(42 / 106)


def test_an_empty_test_split_is_an_error_that_says_how_to_give_one(project, params, pairs):
    with pytest.raises(UserError, match=r"ingest\.test or set ingest\.split\.test"):
        run(params, project(gold=pairs[:6], test=[]))


def test_a_test_label_that_the_model_does_not_know_is_an_error(project, params, pairs):
    with pytest.raises(UserError, match="found 1 rows with another or none"):
        run(params, project(gold=pairs[:6], test=[*pairs[6:], ("hello", "weather")]))


def test_per_class_table_is_scikit_learns_report(project, params, pairs):
    paths = project(gold=pairs[:6], test=pairs)
    run(params, paths)
    report = pd.read_csv(paths.data("evaluate") / "per_class.csv", index_col="class")
    predictions = pd.read_parquet(paths.data("evaluate") / "predictions.parquet")
    assert report.index.tolist() == [*LABELS, "macro avg", "weighted avg"]
    refund = predictions["label"].eq("refund")
    assert report.loc["refund", "recall"] == pytest.approx(predictions.loc[refund, "predicted"].eq("refund").mean())
    assert report.loc["refund", "support"] == refund.sum()


def test_a_class_may_have_the_name_of_a_total():
    names = ("accuracy", "macro avg", "none")
    report = evaluate.per_class_table(np.array([0, 0, 1, 2]), np.array([0, 1, 1, 2]), names)
    assert report["class"].tolist() == [*names, "macro avg", "weighted avg"]
    assert report["recall"].tolist() == pytest.approx([0.5, 1.0, 1.0, 2.5 / 3, 0.75])
    assert report["support"].tolist() == [2, 1, 1, 4, 4]


def test_plots_are_pictures_of_equal_bytes_for_equal_data(project, params, pairs):
    paths = project(gold=pairs[:6], test=pairs)
    names = ("confusion.png", "reliability.png")
    first, second = (
        [run(params, paths), *((paths.data("evaluate") / name).read_bytes() for name in names)] for _ in range(2)
    )
    assert first[1:] == second[1:]
    assert all(content.startswith(b"\x89PNG") for content in first[1:])


@pytest.mark.parametrize("classes", [2, 4, 77])
def test_the_confusion_plot_names_every_class_and_the_largest_confusion(classes):
    counts = np.eye(classes, dtype=int) * 10
    counts[1, 0] = 7
    labels = tuple(f"class_{i} of $5 and a rather long name" for i in range(classes))
    figure = evaluate.draw_confusion(counts, labels)
    grid, listed = figure.axes[0], figure.axes[1]
    assert len(grid.get_xticklabels()) == len(grid.get_yticklabels()) == classes
    assert "7 of 17  class_1" in listed.texts[0].get_text()
