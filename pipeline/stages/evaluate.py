"""Test accuracy of the served bundle, how sure it is, and what the pipeline earned over two plain baselines.

    python -m pipeline.stages.evaluate

Reads data/ingest/train.parquet, data/ingest/test.parquet and data/export/bundle; writes predictions.parquet,
per_class.csv, confusion.png, reliability.png and metrics.json to data/evaluate.
"""

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from pipeline.core import table
from pipeline.core.errors import UserError
from pipeline.core.params import Encoder, Evaluate
from pipeline.core.stage import Metrics, Paths, main, replace
from pipeline.metrics import statistics
from pipeline.models import classifier
from pipeline.models import encoder as encoders
from pipeline.models.embeddings import embed

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# Scripts written without spaces between words: kana, Han, Thai, Lao, Myanmar, Khmer.
UNSPACED = re.compile("[\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff]")
LETTERS = re.compile(r"[^\W\d_]")
LISTED = 12  # confusions named beside the matrix
ANNOTATED = 20  # classes up to which each cell of the matrix shows its count


def run(params: Evaluate, encoder: Encoder, paths: Paths) -> Metrics:
    """Predict the test split, compare with baselines trained on the same gold rows, write tables and plots."""
    model = classifier.load(paths.data("export") / "bundle")
    gold = gold_rows(table.read(paths.data("ingest") / "train.parquet"))
    test = test_rows(paths.data("ingest") / "test.parquet", model.labels)
    scores = model.predict(test["text"].tolist(), encoder.batch_size)
    truth = model.indices(test["label"])
    predicted = scores.argmax(axis=1)
    reliability = statistics.calibration(scores.max(axis=1), predicted == truth)
    counts = statistics.confusion(truth, predicted, len(model.labels))

    metrics = measure(counts, params)
    metrics |= {
        "calibration_error": statistics.calibration_error(reliability),
        "calibration_bins": f"{statistics.BINS} of equal width, by the confidence of the predicted label",
        "log_loss": statistics.log_loss(scores, truth),
        "test_rows": len(test),
        "test_rows_without_gold_label": int((~test["label"].isin(gold["label"])).sum()),
        "classes": len(model.labels),
        "precision": model.precision,
    }
    answers = baselines(gold, test, params.baseline_inverse_l2, encoder, paths)
    metrics["baseline"] = {name: describe(answer, truth, model) for name, answer in answers.items()}
    metrics |= gain(predicted == truth, answers["probe"], test["label"], params)

    out = paths.data("evaluate")
    write_predictions(test, scores, model.labels, out / "predictions.parquet")
    table.write_csv(per_class(truth, predicted, model.labels), out / "per_class.csv")
    save(draw_confusion(counts, model.labels), out / "confusion.png")
    save(draw_reliability(reliability, metrics["calibration_error"]), out / "reliability.png")
    return metrics


def gold_rows(train: pd.DataFrame) -> pd.DataFrame:
    """The rows whose label a person gave."""
    return train[train["origin"].eq("gold") & train["label"].notna()]


def test_rows(path: Path, labels: tuple[str, ...]) -> pd.DataFrame:
    """The test split; UserError when it is empty or has a label that the model does not know."""
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


def measure(counts: np.ndarray, params: Evaluate) -> Metrics:
    """Accuracy and macro-F1 of a confusion matrix, each with its bootstrap interval over rows."""
    drawn = statistics.resample(counts, params.bootstrap, np.random.default_rng(params.seed))
    metrics: Metrics = {}
    for name, statistic in {"accuracy": statistics.accuracy, "macro_f1": statistics.macro_f1}.items():
        low, high = statistics.percentiles(statistic(drawn), params.interval)
        metrics |= {name: float(statistic(counts)), f"{name}_low": low, f"{name}_high": high}
    return metrics


def baselines(
    gold: pd.DataFrame, test: pd.DataFrame, c: float, encoder: Encoder, paths: Paths
) -> dict[str, np.ndarray | str]:
    """What two classifiers trained on the gold rows alone say of each test row, or the reason why there are none."""
    if gold["label"].nunique() < 2:
        reason = f"{len(gold)} gold rows of {gold['label'].nunique()} classes: nothing to train on"
        return {"tfidf": reason, "probe": reason}
    folder = encoders.locate(encoder)
    vectors = embed([*gold["text"], *test["text"]], folder, encoder, paths)
    features = tfidf(gold["text"].tolist(), test["text"].tolist())
    return {
        "tfidf": fit_predict(features[0], gold["label"], features[1], c),
        "probe": fit_predict(vectors[: len(gold)], gold["label"], vectors[len(gold) :], c),
    }


def tfidf(train: list[str], test: list[str]) -> tuple[Any, Any]:
    """Sparse TF-IDF features, the vocabulary taken from ``train`` alone.

    One or two words a feature; one to three characters where more than half of the letters of ``train`` belong to
    scripts that put no space between words.
    """
    from sklearn.feature_extraction.text import TfidfVectorizer

    text = "\n".join(train)
    unspaced = len(UNSPACED.findall(text)) > len(LETTERS.findall(text)) / 2
    analysis = {"analyzer": "char", "ngram_range": (1, 3)} if unspaced else {"ngram_range": (1, 2)}
    vectorizer = TfidfVectorizer(sublinear_tf=True, **analysis)
    return vectorizer.fit_transform(train), vectorizer.transform(test)


def fit_predict(train: Any, labels: pd.Series, test: Any, c: float) -> np.ndarray:
    """Labels that a logistic regression, fitted on ``train``, gives to ``test``."""
    from sklearn.linear_model import LogisticRegression

    return LogisticRegression(C=c, max_iter=1000).fit(train, labels.to_numpy(object)).predict(test)


def describe(answer: np.ndarray | str, truth: np.ndarray, model: classifier.Classifier) -> Metrics:
    """Accuracy and macro-F1 of a baseline's answers, or null and the reason."""
    if isinstance(answer, str):
        return {"accuracy": None, "macro_f1": None, "reason": answer}
    counts = statistics.confusion(truth, model.indices(answer), len(model.labels))
    return {"accuracy": float(statistics.accuracy(counts)), "macro_f1": float(statistics.macro_f1(counts))}


def gain(correct: np.ndarray, probe: np.ndarray | str, label: pd.Series, params: Evaluate) -> Metrics:
    """Accuracy above the probe's on the same rows, with a paired bootstrap interval; null without a probe."""
    if isinstance(probe, str):
        return {"gain_over_probe": None, "gain_over_probe_low": None, "gain_over_probe_high": None}
    pairs = statistics.confusion(correct.astype(int), (probe == label.to_numpy(object)).astype(int), 2)
    drawn = statistics.resample(pairs, params.bootstrap, np.random.default_rng(params.seed))
    low, high = statistics.percentiles((drawn[:, 1, 0] - drawn[:, 0, 1]) / len(correct), params.interval)
    measured = float((pairs[1, 0] - pairs[0, 1]) / len(correct))
    return {"gain_over_probe": measured, "gain_over_probe_low": low, "gain_over_probe_high": high}


def write_predictions(test: pd.DataFrame, scores: np.ndarray, labels: tuple[str, ...], path: Path) -> None:
    """One row a test row: id, label, predicted, confidence, and score.<label> (probabilities, float32)."""
    best = scores.argmax(axis=1)
    predictions = test[["id", "label"]].assign(predicted=np.array(labels, object)[best], confidence=scores.max(axis=1))
    columns = pd.DataFrame(scores, columns=[f"score.{label}" for label in labels], index=test.index)
    replace(path, lambda part: pd.concat([predictions, columns], axis=1).to_parquet(part, index=False))


def per_class(truth: np.ndarray, predicted: np.ndarray, labels: tuple[str, ...]) -> pd.DataFrame:
    """A row a class: class, precision, recall, f1-score, support; the last two are means, plain and by support."""
    from sklearn.metrics import precision_recall_fscore_support

    asked: dict[str, Any] = {"labels": list(range(len(labels))), "zero_division": 0}
    each = np.array(precision_recall_fscore_support(truth, predicted, **asked)).T
    means = [
        [*precision_recall_fscore_support(truth, predicted, average=average, **asked)[:3], each[:, 3].sum()]
        for average in ("macro", "weighted")
    ]
    rows = pd.DataFrame([*each, *means], columns=["precision", "recall", "f1-score", "support"])
    rows.insert(0, "class", [*labels, "macro avg", "weighted avg"])
    return rows.astype({"support": int})


def draw_confusion(counts: np.ndarray, labels: tuple[str, ...]) -> "Figure":
    """Confusion matrix as shares of each true class, with the largest confusions named beside it."""
    from matplotlib.figure import Figure

    names, size = [shorten(label) for label in labels], len(labels)
    side = min(4 + 0.2 * size, 18)
    figure = Figure(figsize=(side + 5, side), layout="constrained")
    grid, text = figure.subplots(1, 2, width_ratios=[side, 4])
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    grid.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    font = 9 if size <= ANNOTATED else 6
    grid.set_xticks(range(size), names, rotation=90, fontsize=font)
    grid.set_yticks(range(size), names, fontsize=font)
    grid.set(xlabel="predicted", ylabel="true")
    if size <= ANNOTATED:
        for (row, column), count in np.ndenumerate(counts):
            shade = "white" if shares[row, column] > 0.5 else "black"
            grid.text(column, row, str(count), ha="center", va="center", color=shade, fontsize=8)
    wrong = counts * (1 - np.eye(size, dtype=int))
    largest = [divmod(int(cell), size) for cell in np.argsort(-wrong, axis=None, kind="stable")[:LISTED]]
    lines = [
        f"{wrong[a, b]} of {counts[a].sum()}  {names[a]}\n      taken for {names[b]}" for a, b in largest if wrong[a, b]
    ]
    text.axis("off")
    text.set_title("Largest confusions" if lines else "No confusions", loc="left", fontsize=10)
    text.text(0, 1, "\n".join(lines), va="top", fontsize=8, transform=text.transAxes)
    return figure


def draw_reliability(reliability: pd.DataFrame, error: float) -> "Figure":
    """Accuracy against confidence, bin by bin, above a count of rows; on the diagonal confidence can be trusted."""
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
    """A label fit for an axis: cut where it is long, and never read as a formula."""
    return (label if len(label) <= 32 else label[:31] + "…").replace("$", r"\$")


def save(figure: "Figure", path: Path) -> None:
    """Write a PNG whose bytes depend on the picture alone."""
    replace(path, lambda part: figure.savefig(part, format="png", dpi=120, metadata={"Software": None}))


if __name__ == "__main__":
    main(run, "encoder")
