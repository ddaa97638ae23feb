"""The linear heads: regression over vectors, naive Bayes over words, and their mixture."""

import numpy as np
import pytest
from scipy.sparse import csr_matrix
from sklearn.linear_model import LogisticRegression

from pipeline.stages.pseudo_label.features import Texts
from pipeline.stages.pseudo_label.heads import Heads, add_words, count_words, fit_linear


def test_the_regression_is_that_of_scikit_learn_dense_and_sparse() -> None:
    random = np.random.default_rng(0)
    vectors, labels = random.normal(size=(60, 5)).astype(np.float32), random.integers(3, size=60)
    weights = random.uniform(0.5, 2, size=60)
    expected = LogisticRegression(C=10.0, max_iter=2000, tol=1e-8).fit(vectors, labels, sample_weight=weights)
    for features in (vectors, csr_matrix(vectors)):
        heads = fit_linear(features, labels, weights, 3, steps=500)
        logits = np.asarray(features @ heads.weight.T) + heads.bias
        probabilities = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
        assert probabilities == pytest.approx(expected.predict_proba(vectors), abs=2e-3)


def test_a_class_without_rows_of_some_weight_is_never_predicted() -> None:
    vectors, labels = np.eye(4, dtype=np.float32), np.array([0, 1, 2, 2])
    heads = fit_linear(vectors, labels, np.array([1.0, 1.0, 0.0, 0.0]), 4)
    assert set(heads.logits(Texts(vectors)).argmax(axis=1)) == {0, 1}
    again = fit_linear(vectors, labels, np.ones(4), 4, start=heads)
    assert again.logits(Texts(vectors)).argmax(axis=1).tolist() == [0, 1, 2, 2]


def test_words_of_a_class_speak_for_it_and_are_as_sure_as_the_vectors() -> None:
    words = csr_matrix(np.array([[1, 0, 1], [0, 1, 1]], np.float32))
    table = count_words(words, np.eye(2))
    assert (words @ table).argmax(axis=1).tolist() == [0, 1]
    texts = Texts(np.array([[1.0], [-1.0]], np.float32), words)
    heads = Heads(np.array([[1.0], [-1.0]], np.float32), np.zeros(2, np.float32))
    mixed = add_words(heads, table, np.zeros(2, np.float32), texts, 0.5)
    assert mixed.logits(texts) - mixed.logits(texts).mean(axis=1, keepdims=True) == pytest.approx(
        heads.logits(texts), abs=1e-2
    )
