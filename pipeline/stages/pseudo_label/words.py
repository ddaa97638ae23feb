"""The word view: linear classifiers over the tokens of a text, beside the probe over the encoder's vector.

A classifier is a table of tokens by classes, small enough to ship with the student. A few labels leave most tokens
unseen; pseudo-labels show them all.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from pipeline.stages.pseudo_label.probe import ABSENT_CLASS_LOGIT, fit_probe

MIN_DOCUMENT_FREQUENCY = 2  # texts: a token of a single text predicts nothing for other texts


@dataclass(frozen=True)
class WordClassifier:
    """A linear classifier over tokens: logits = features @ table + bias."""

    table: np.ndarray  # (tokens that count, classes) float32
    bias: np.ndarray  # (classes,) float32

    def logits(self, features: Any) -> np.ndarray:
        """The logits, (rows, classes) float32, of sparse ``features``, (rows, tokens that count) float32."""
        return np.asarray(features @ self.table) + self.bias


def inverse_document_frequency(tokens: list[list[int]], vocabulary: int, special: list[int]) -> np.ndarray:
    """The smoothed inverse document frequency of each token, (vocabulary,) float32; 0 for special and rare tokens.

    ``tokens`` are the token numbers of each text. A token is rare in fewer than `MIN_DOCUMENT_FREQUENCY` texts. The
    formula is that of scikit-learn's TfidfTransformer.
    """
    texts = np.zeros(vocabulary, dtype=np.int64)
    for row in tokens:
        texts[list(set(row))] += 1
    idf = np.log((1 + len(tokens)) / (1 + texts)) + 1
    idf[texts < MIN_DOCUMENT_FREQUENCY] = 0
    idf[special] = 0
    return idf.astype(np.float32)


def token_features(tokens: list[list[int]], idf: np.ndarray) -> Any:
    """Sparse features, (rows, tokens that count) float32: the inverse document frequency of each distinct token.

    ``idf`` is (vocabulary,), float32; a token counts where it is above 0. Every row has unit length, or 0 where none of
    its tokens counts.
    """
    from scipy.sparse import csr_matrix
    from sklearn.preprocessing import normalize

    distinct = [sorted(set(row)) for row in tokens]
    ends = np.concatenate([[0], np.cumsum([len(row) for row in distinct])])
    columns = np.array([token for row in distinct for token in row], dtype=np.int64)
    rows = csr_matrix((idf[columns], columns, ends), shape=(len(tokens), len(idf)))
    rows.eliminate_zeros()
    return normalize(
        rows[:, np.flatnonzero(idf)]
    )  # most tokens of a vocabulary are in no text: their columns are empty


def fit_naive_bayes(
    features: Any, labels: np.ndarray, weights: np.ndarray, classes: int, alpha: float
) -> WordClassifier:
    """Multinomial naive Bayes over sparse ``features``, (rows, tokens that count) float32, with equal class priors.

    ``labels`` is (rows,), int: class numbers; ``weights`` is (rows,), float64, 0 or more; ``alpha``, above 0, is added
    to every count. Class shares are left to the alignment with the class prior. The classifier never predicts a class
    whose rows all have the weight 0.

    The model counts, so wrong labels are spread thinly over many words. Over rounds of pseudo-labels this is
    expectation maximisation with hard labels (Nigam et al. 2000).
    """
    counts = np.asarray(features.T @ (np.eye(classes)[labels] * weights[:, None])) + alpha
    table = np.log(counts / counts.sum(axis=0))
    bias = np.where(np.bincount(labels, weights, classes) > 0, 0.0, ABSENT_CLASS_LOGIT)
    return WordClassifier(table.astype(np.float32), bias.astype(np.float32))


def fit_logistic_regression(
    features: Any, labels: np.ndarray, weights: np.ndarray, classes: int, inverse_l2: float
) -> WordClassifier:
    """Logistic regression over sparse ``features``, (rows, tokens that count) float32.

    ``labels`` is (rows,), int: class numbers; ``weights`` is (rows,), float64, 0 or more; ``inverse_l2`` is the inverse
    strength of the L2 penalty, above 0. The classifier never predicts a class whose rows all have the weight 0.
    """
    used = np.unique(features.indices)
    probe = fit_probe(features[:, used], labels, weights, classes, inverse_l2)
    table = np.zeros((features.shape[1], classes), dtype=np.float32)
    table[used] = probe.weight.T
    return WordClassifier(table, probe.bias)
