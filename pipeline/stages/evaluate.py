"""Evaluation: the accuracy and calibration of the bundle on the test split, and its gain over plain baselines.

    python -m pipeline.stages.evaluate

Reads data/ingest/train.parquet, data/ingest/test.parquet and data/export/bundle; writes predictions.parquet,
per_class.csv, coverage.csv, confusion.png, reliability.png and metrics.json to data/evaluate.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from pipeline.core import table
from pipeline.core.errors import UserError
from pipeline.core.params import Encoder, Evaluate
from pipeline.core.stage import Metrics, Paths, main, write_atomically
from pipeline.metrics import statistics
from pipeline.models import classifier, cluster_answers
from pipeline.models.abstention_measures import measure_abstention
from pipeline.models.answers import Answer, make_answers
from pipeline.models.baselines import predict_baselines
from pipeline.models.bundle_settings import shipped_model

if TYPE_CHECKING:
    from matplotlib.figure import Figure

LISTED_CONFUSIONS = 12  # named beside the matrix: so many fit the figure's height with two classes
MAX_ANNOTATED = 20  # classes; with more, the counts in the cells of the matrix would overlap


def run(params: Evaluate, encoder: Encoder, paths: Paths) -> Metrics:
    """Predict the test split, compare with baselines trained on the same gold rows, write tables and plots."""
    model = cluster_answers.load(paths.data("export") / "bundle", paths.root)
    gold = gold_rows(table.read(paths.data("ingest") / "train.parquet"))
    test = read_test_rows(paths.data("ingest") / "test.parquet", model.labels)
    scores, unlikeness = model.predict_and_score(test["text"].tolist(), encoder.batch_size)
    truth = model.label_indices(test["label"])
    predicted = scores.argmax(axis=1)
    reliability = statistics.reliability_table(scores.max(axis=1), predicted == truth)
    counts = statistics.confusion_matrix(truth, predicted, len(model.labels))

    metrics = measure_accuracy(counts, params)
    abstention = model.abstention
    settings = None if abstention is None else abstention.settings
    metrics["abstention"], curve = measure_abstention(settings, unlikeness, predicted == truth)
    refused = None if abstention is None or unlikeness is None else abstention.refuses(unlikeness)
    metrics |= {
        "calibration_error": statistics.expected_calibration_error(reliability),
        "calibration_bins": f"{statistics.CALIBRATION_BINS} of equal width, by the confidence of the predicted label",
        "log_loss": statistics.log_loss(scores, truth),
        "test_rows": len(test),
        "test_rows_without_gold_label": int((~test["label"].isin(gold["label"])).sum()),
        "test_classes_without_gold_label": count_unlearned(test["label"], gold["label"]),
        "largest_class": str(test["label"].value_counts().sort_index().idxmax()),
        "largest_class_share": float(test["label"].value_counts(normalize=True).max()),
        "classes": len(model.labels),
        "precision": model.precision,
        "shipped": shipped_model(paths.data("export") / "bundle"),
    }
    baselines = predict_baselines(gold, test, params.baseline_inverse_l2, encoder, paths)
    always_largest = {"largest_class": np.full(len(test), metrics["largest_class"], object)}
    metrics["baseline"] = {
        name: score_baseline(labels, truth, model) for name, labels in (baselines | always_largest).items()
    }
    metrics |= gain_over_probe(predicted == truth, baselines["probe"], test["label"], params)

    out = paths.data("evaluate")
    answers = make_answers(model.labels, scores, unlikeness, refused)
    write_predictions(test, answers, scores, model.labels, out / "predictions.parquet")
    table.write_csv(per_class_table(truth, predicted, model.labels), out / "per_class.csv")
    table.write_csv(curve, out / "coverage.csv")
    save_figure(draw_confusion(counts, model.labels), out / "confusion.png")
    save_figure(draw_reliability(reliability, metrics["calibration_error"]), out / "reliability.png")
    return metrics


def count_unlearned(test: pd.Series, gold: pd.Series) -> dict[str, int]:
    """The test rows of each class that no gold row has; a mapping, because DVC shows no lists among metrics."""
    counts = test[~test.isin(gold)].value_counts().sort_index()
    return {str(name): int(count) for name, count in counts.items()}


def gold_rows(train: pd.DataFrame) -> pd.DataFrame:
    """The rows whose label a person gave."""
    return train[train["origin"].eq("gold") & train["label"].notna()]


def read_test_rows(path: Path, labels: tuple[str, ...]) -> pd.DataFrame:
    """The rows of the test split. Raises UserError when it is empty or has a label that the model does not know."""
    test = table.read(path)
    if test.empty:
        raise UserError(
            f"{path}: expected labelled test rows, found none; name a file under ingest.test or set ingest.split.test"
        )
    unknown = test[~test["label"].isin(labels)]
    if not unknown.empty:
        raise UserError(
            f"{path}: expected the labels that the model was trained for, found {len(unknown)} rows with another or "
            f"none, first id {unknown['id'].iloc[0]}; rename or drop them under ingest.labels"
        )
    return test


def measure_accuracy(counts: np.ndarray, params: Evaluate) -> Metrics:
    """Accuracy and macro-F1, 0 to 1, each with its bootstrap interval over rows (Efron 1979).

    ``counts`` is the confusion matrix (classes, classes), int: rows by true, columns by predicted class.
    """
    drawn = statistics.resample(counts, params.bootstrap, np.random.default_rng(params.seed))
    metrics: Metrics = {}
    for name, statistic in {"accuracy": statistics.accuracy, "macro_f1": statistics.macro_f1}.items():
        low, high = statistics.percentile_interval(statistic(drawn), params.interval)
        metrics |= {name: float(statistic(counts)), f"{name}_low": low, f"{name}_high": high}
    return metrics


def score_baseline(predicted: np.ndarray | str, truth: np.ndarray, model: classifier.Classifier) -> Metrics:
    """Accuracy and macro-F1 of a baseline, 0 to 1, or null and the reason.

    ``predicted`` holds the labels that it predicts, (rows,), str, or is the reason why there are none; ``truth`` is
    (rows,), int64, the index of each row's label.
    """
    if isinstance(predicted, str):
        return {"accuracy": None, "macro_f1": None, "reason": predicted}
    counts = statistics.confusion_matrix(truth, model.label_indices(predicted), len(model.labels))
    return {"accuracy": float(statistics.accuracy(counts)), "macro_f1": float(statistics.macro_f1(counts))}


def gain_over_probe(correct: np.ndarray, probe: np.ndarray | str, label: pd.Series, params: Evaluate) -> Metrics:
    """Accuracy above the probe's on the same rows, -1 to 1, with a paired bootstrap interval; null without a probe.

    ``correct`` (rows,), bool, says where the model is right; ``probe`` holds the probe's labels, (rows,), str, or is
    the reason why there are none.
    """
    if isinstance(probe, str):
        return {"gain_over_probe": None, "gain_over_probe_low": None, "gain_over_probe_high": None}
    pairs = statistics.confusion_matrix(correct.astype(int), (probe == label.to_numpy(object)).astype(int), 2)
    drawn = statistics.resample(pairs, params.bootstrap, np.random.default_rng(params.seed))
    low, high = statistics.percentile_interval((drawn[:, 1, 0] - drawn[:, 0, 1]) / len(correct), params.interval)
    measured = float((pairs[1, 0] - pairs[0, 1]) / len(correct))
    return {"gain_over_probe": measured, "gain_over_probe_low": low, "gain_over_probe_high": high}


def write_predictions(
    test: pd.DataFrame, answers: list[Answer], scores: np.ndarray, labels: tuple[str, ...], path: Path
) -> None:
    """Write a row for each test row: id, label, predicted, confidence, reason, and score.<label>.

    ``predicted`` is the most probable label, and ``reason`` says why it is not given, or is null. ``scores``
    (rows, labels), float32, 0 to 1, holds the probabilities.
    """
    reasons = pd.Series([answer.reason for answer in answers], index=test.index, dtype="str")
    predictions = test[["id", "label"]].assign(
        predicted=[answer.best for answer in answers], confidence=scores.max(axis=1), reason=reasons
    )
    columns = pd.DataFrame(scores, columns=[f"score.{label}" for label in labels], index=test.index)
    write_atomically(path, lambda part: pd.concat([predictions, columns], axis=1).to_parquet(part, index=False))


def per_class_table(truth: np.ndarray, predicted: np.ndarray, labels: tuple[str, ...]) -> pd.DataFrame:
    """A row for each class: class, precision, recall, f1-score (0 to 1) and support (rows).

    The last two rows are means over classes, plain and weighted by support. ``truth`` and ``predicted`` are (rows,),
    int64, indices of ``labels``.
    """
    from sklearn.metrics import precision_recall_fscore_support

    options: dict[str, Any] = {"labels": list(range(len(labels))), "zero_division": 0}
    each = np.array(precision_recall_fscore_support(truth, predicted, **options)).T
    means = [
        [*precision_recall_fscore_support(truth, predicted, average=average, **options)[:3], each[:, 3].sum()]
        for average in ("macro", "weighted")
    ]
    rows = pd.DataFrame([*each, *means], columns=["precision", "recall", "f1-score", "support"])
    rows.insert(0, "class", [*labels, "macro avg", "weighted avg"])
    return rows.astype({"support": int})


def draw_confusion(counts: np.ndarray, labels: tuple[str, ...]) -> "Figure":
    """The confusion matrix as shares of each true class, with the largest confusions named beside it.

    ``counts`` is (classes, classes), int: rows by true, columns by predicted class.
    """
    from matplotlib.figure import Figure

    names, size = [shorten(label) for label in labels], len(labels)
    side = min(4 + 0.2 * size, 18)
    figure = Figure(figsize=(side + 5, side), layout="constrained")
    grid, text = figure.subplots(1, 2, width_ratios=[side, 4])
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    grid.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    font = 9 if size <= MAX_ANNOTATED else 6
    grid.set_xticks(range(size), names, rotation=90, fontsize=font)
    grid.set_yticks(range(size), names, fontsize=font)
    grid.set(xlabel="predicted", ylabel="true")
    if size <= MAX_ANNOTATED:
        for (row, column), count in np.ndenumerate(counts):
            shade = "white" if shares[row, column] > 0.5 else "black"
            grid.text(column, row, str(count), ha="center", va="center", color=shade, fontsize=8)
    wrong = counts * (1 - np.eye(size, dtype=int))
    largest = [divmod(int(cell), size) for cell in np.argsort(-wrong, axis=None, kind="stable")[:LISTED_CONFUSIONS]]
    lines = [
        f"{wrong[a, b]} of {counts[a].sum()}  {names[a]}\n      taken for {names[b]}" for a, b in largest if wrong[a, b]
    ]
    text.axis("off")
    text.set_title("Largest confusions" if lines else "No confusions", loc="left", fontsize=10)
    text.text(0, 1, "\n".join(lines), va="top", fontsize=8, transform=text.transAxes)
    return figure


def draw_reliability(reliability: pd.DataFrame, error: float) -> "Figure":
    """Accuracy against confidence, bin by bin, above a count of rows; on the diagonal both are the same."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(5, 6), layout="constrained")
    above, below = figure.subplots(2, 1, sharex=True, height_ratios=[3, 1])
    filled = reliability[reliability["rows"] > 0]
    above.plot([0, 1], [0, 1], color="grey", linestyle="--", linewidth=1)
    above.plot(filled["confidence"], filled["accuracy"], marker="o")
    above.set(ylim=(0, 1), ylabel="accuracy", title=f"Expected calibration error {error:.3f}")
    edges = np.linspace(0, 1, len(reliability) + 1)
    below.bar(edges[:-1], reliability["rows"], width=np.diff(edges), align="edge", edgecolor="white")
    below.set(xlim=(0, 1), xlabel="confidence", ylabel="rows")
    return figure


def shorten(label: str) -> str:
    """A label for an axis: cut after 32 characters, and its dollar signs escaped, which would start a formula."""
    return (label if len(label) <= 32 else label[:31] + "…").replace("$", r"\$")


def save_figure(figure: "Figure", path: Path) -> None:
    """Write a PNG without metadata, so that its bytes depend on the picture alone."""
    write_atomically(path, lambda part: figure.savefig(part, format="png", dpi=120, metadata={"Software": None}))


if __name__ == "__main__":
    main(run, "encoder")
