"""The view of the words: what the tokens of a text say of its class, beside what the encoder's vector says.

A table of tokens by classes, so cheap that the student ships with it. Few labels leave most words unknown;
pseudo-labels show them all.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from pipeline.stages.pseudo_label.probe import NEVER
from pipeline.stages.pseudo_label.probe import fit as fit_probe

MIN_TEXTS = 2  # that a token must be in: one that a single text holds says nothing of another


@dataclass(frozen=True)
class Words:
    """A linear classifier over tokens: logits = features @ table + bias."""

    table: np.ndarray  # (tokens that count, classes) float32
    bias: np.ndarray  # (classes,) float32

    def logits(self, features: Any) -> np.ndarray:
        """Sparse features (rows, tokens that count) to (rows, classes)."""
        return np.asarray(features @ self.table) + self.bias


def inverse_frequency(tokens: list[list[int]], vocabulary: int, special: list[int]) -> np.ndarray:
    """Smoothed inverse document frequency of each token, (vocabulary,); 0 for special and for rare tokens."""
    texts = np.zeros(vocabulary, dtype=np.int64)
    for row in tokens:
        texts[list(set(row))] += 1
    idf = np.log((1 + len(tokens)) / (1 + texts)) + 1
    idf[texts < MIN_TEXTS] = 0
    idf[special] = 0
    return idf.astype(np.float32)


def features(tokens: list[list[int]], idf: np.ndarray) -> Any:
    """Sparse (rows, tokens that count): the inverse frequency of each distinct token, every row of unit length."""
    from scipy.sparse import csr_matrix
    from sklearn.preprocessing import normalize

    distinct = [sorted(set(row)) for row in tokens]
    ends = np.concatenate([[0], np.cumsum([len(row) for row in distinct])])
    columns = np.array([token for row in distinct for token in row], dtype=np.int64)
    rows = csr_matrix((idf[columns], columns, ends), shape=(len(tokens), len(idf)))
    rows.eliminate_zeros()
    return normalize(rows[:, np.flatnonzero(idf)])  # most of a vocabulary is in no text: tables would be mostly empty


def bayes(rows: Any, labels: np.ndarray, weights: np.ndarray, classes: int, smoothing: float) -> Words:
    """Multinomial naive Bayes over features: how each class talks. Shares of classes are left to the alignment.

    A class without rows of some weight is never named.

    It counts, so that wrong labels spread thinly over many words; over rounds of pseudo-labels this is expectation
    maximisation with hard labels (Nigam et al. 2000).
    """
    counts = np.asarray(rows.T @ (np.eye(classes)[labels] * weights[:, None])) + smoothing
    table = np.log(counts / counts.sum(axis=0))
    bias = np.where(np.bincount(labels, weights, classes) > 0, 0.0, NEVER)
    return Words(table.astype(np.float32), bias.astype(np.float32))


def regression(rows: Any, labels: np.ndarray, weights: np.ndarray, classes: int, c: float) -> Words:
    """Logistic regression over features: which words tell the classes apart; ``c`` as in the probe."""
    used = np.unique(rows.indices)
    probe = fit_probe(rows[:, used], labels, weights, classes, c)
    table = np.zeros((rows.shape[1], classes), dtype=np.float32)
    table[used] = probe.weight.T
    return Words(table, probe.bias)
