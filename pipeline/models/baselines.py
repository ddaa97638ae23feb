"""Two plain baselines, trained on gold rows alone: logistic regressions on TF-IDF features and on encoder vectors."""

from typing import Any

import numpy as np
import pandas as pd

from pipeline.core.params import Encoder
from pipeline.core.stage import Paths
from pipeline.models import encoder as encoders
from pipeline.models.embeddings import embed
from pipeline.text.scripts import has_no_spaces

# The logit of a class without a gold row: far below every other, so that the class is never predicted.
ABSENT_CLASS_LOGIT = -30.0


def predict_baselines(
    gold: pd.DataFrame, test: pd.DataFrame, inverse_l2: float, encoder: Encoder, paths: Paths
) -> dict[str, np.ndarray | str]:
    """The labels, (test rows,), str, that each baseline predicts, or the reason where gold rows are of one class.

    ``tfidf`` is fitted on TF-IDF features, ``probe`` on the vectors (rows, width), float32, of the pretrained encoder.
    """
    if gold["label"].nunique() < 2:
        reason = f"{len(gold)} gold rows of {gold['label'].nunique()} classes: nothing to train on"
        return {"tfidf": reason, "probe": reason}
    folder = encoders.locate(encoder)
    vectors = embed([*gold["text"], *test["text"]], folder, encoder, paths)
    features = tfidf_features(gold["text"].tolist(), test["text"].tolist())
    return {
        "tfidf": fit_predict(features[0], gold["label"], features[1], inverse_l2),
        "probe": fit_predict(vectors[: len(gold)], gold["label"], vectors[len(gold) :], inverse_l2),
    }


def tfidf_features(train: list[str], test: list[str]) -> tuple[Any, Any]:
    """Sparse TF-IDF features of both, (texts, features), float64; the vocabulary is that of ``train`` alone.

    A feature is one or two words. Where more than half of the letters of ``train`` belong to scripts that put no space
    between words, it is one to three characters.
    """
    from sklearn.feature_extraction.text import TfidfVectorizer

    unspaced = has_no_spaces("\n".join(train))
    analysis = {"analyzer": "char", "ngram_range": (1, 3)} if unspaced else {"ngram_range": (1, 2)}
    vectorizer = TfidfVectorizer(sublinear_tf=True, **analysis)
    return vectorizer.fit_transform(train), vectorizer.transform(test)


def fit_predict(train: Any, labels: pd.Series, test: Any, inverse_l2: float) -> np.ndarray:
    """The labels, (test rows,), str, that a logistic regression fitted on ``train`` gives to ``test``.

    Both are features (rows, features), float.
    """
    return fit_regression(train, labels, inverse_l2).predict(test)


def fit_regression(train: Any, labels: pd.Series, inverse_l2: float) -> Any:
    """The logistic regression of scikit-learn that is fitted on features (rows, features), float, and ``labels``."""
    from sklearn.linear_model import LogisticRegression

    return LogisticRegression(C=inverse_l2, max_iter=1000).fit(train, labels.to_numpy(object))


def fit_head(vectors: np.ndarray, labels: pd.Series, classes: list[str], inverse_l2: float) -> dict[str, np.ndarray]:
    """The probe as a linear head: ``weight`` (classes, width) and ``bias`` (classes,), float32.

    It gives ``vectors``, (rows, width), float32, the labels that `fit_predict` gives. It never predicts a class that
    none of ``labels`` has; where all of them are of one class, it always predicts that.
    """
    weight = np.zeros((len(classes), vectors.shape[1]), dtype=np.float32)
    bias = np.full(len(classes), ABSENT_CLASS_LOGIT, dtype=np.float32)
    if labels.nunique() < 2:
        bias[[classes.index(label) for label in labels.unique()]] = 0
        return {"weight": weight, "bias": bias}
    model = fit_regression(vectors, labels, inverse_l2)
    coefficients, intercepts = model.coef_, model.intercept_
    if len(coefficients) == 1:  # of two classes, scikit-learn has one logit: that of the second against the first
        coefficients, intercepts = (np.concatenate([-part / 2, part / 2]) for part in (coefficients, intercepts))
    rows = [classes.index(label) for label in model.classes_]
    weight[rows], bias[rows] = coefficients, intercepts
    return {"weight": weight, "bias": bias}
