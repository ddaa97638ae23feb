"""The plain peers, one cell a process: fit a model on the gold rows (and the pool), then predict the test rows.

    python -m benchmarks.peers CELL_FOLDER

Reads cell.json, params.yaml, raw/train.jsonl and test.jsonl, which holds only texts. Writes trained.json as soon as the
model is fitted, and predictions.json at the end.
"""

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import psutil

from pipeline.core.params import load_params
from pipeline.core.stage import Paths, read_json, write_json

Embed = Callable[[list[str]], np.ndarray]
Predict = Callable[[list[str]], Any]
C = 10.0  # inverse strength of the L2 penalty, of every logistic regression here


def main(folder: Path) -> None:
    """Fit, write the seconds since the start of the process, and predict."""
    from pipeline.models.embeddings import embed

    cell = read_json(folder / "cell.json")
    rows = read_rows(folder / "raw" / "train.jsonl")
    gold = [row for row in rows if row["label"]]
    pool = [row["text"] for row in rows if not row["label"]]
    encoder, embedded = load_params(folder / "params.yaml").encoder, set[str]()

    def embed_texts(texts: list[str]) -> np.ndarray:
        embedded.update(texts)
        return embed(texts, Path(cell["encoder"]), encoder, Paths(folder))

    texts, labels = [row["text"] for row in gold], np.array([row["label"] for row in gold], object)
    predict = METHODS[cell["method"]](texts, labels, pool, embed_texts, cell["options"])
    seconds = time.time() - psutil.Process().create_time()
    # The vectors of all texts were computed before any cell ran.
    write_json({"seconds": seconds, "looked_up": len(embedded), "known": len(embedded)}, folder / "trained.json")
    predicted = predict([row["text"] for row in read_rows(folder / "test.jsonl")])
    write_json(list(map(str, predicted)), folder / "predictions.json")


def read_rows(path: Path) -> list[dict[str, str]]:
    """The rows of a JSON Lines file."""
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def logistic_regression(options: dict[str, Any]) -> Any:
    """The logistic regression of every peer; ``c`` is taken out of the options."""
    from sklearn.linear_model import LogisticRegression

    return LogisticRegression(C=options.pop("c", C), max_iter=1000)


def tfidf(
    texts: list[str], labels: np.ndarray, pool: list[str], embed_texts: Embed, options: dict[str, Any]
) -> Predict:
    """TF-IDF and a logistic regression on the gold rows; the pool is not used."""
    from pipeline.models.baselines import tfidf_features as features

    model = logistic_regression(options).fit(features(texts, texts)[0], labels)
    return lambda test: model.predict(features(texts, test)[1])


def probe(
    texts: list[str], labels: np.ndarray, pool: list[str], embed_texts: Embed, options: dict[str, Any]
) -> Predict:
    """A logistic regression on the untouched encoder's vectors of the gold rows; the pool is not used."""
    model = logistic_regression(options).fit(embed_texts(texts), labels)
    return lambda test: model.predict(embed_texts(test))


def self_training(
    texts: list[str], labels: np.ndarray, pool: list[str], embed_texts: Embed, options: dict[str, Any]
) -> Predict:
    """scikit-learn's self-training around the probe, with its defaults: labels surer than 0.75 are added in 10 rounds.

    ``options`` are arguments of SelfTrainingClassifier.
    """
    from sklearn.semi_supervised import SelfTrainingClassifier

    vectors = embed_texts([*texts, *pool])
    classes, numbers = np.unique(labels, return_inverse=True)
    targets = np.concatenate([numbers, np.full(len(pool), -1)])  # -1: no label
    model = SelfTrainingClassifier(logistic_regression(options), **options).fit(vectors, targets)
    return lambda test: classes[model.predict(embed_texts(test))]


METHODS: dict[str, Callable[[list[str], np.ndarray, list[str], Embed, dict[str, Any]], Predict]] = {
    "tfidf": tfidf,
    "probe": probe,
    "self_training": self_training,
}

if __name__ == "__main__":
    main(Path(sys.argv[1]))
