"""The probe against scikit-learn, and classes without rows."""

import numpy as np

from pipeline.metrics.calibration import softmax
from pipeline.stages.pseudo_label.probe import ABSENT_CLASS_LOGIT, Probe, fit_probe
from tests.support.pseudo_texts import cloud


def test_a_probe_of_two_classes_gives_the_probabilities_of_scikit_learn() -> None:
    from sklearn.linear_model import LogisticRegression

    vectors, labels = cloud([30, 20], 0.8)
    probabilities = softmax(fit_probe(vectors, labels, np.ones(50), 2, 10).logits(vectors))
    expected = LogisticRegression(C=10, max_iter=300, tol=1e-3).fit(vectors, labels).predict_proba(vectors)
    assert np.abs(probabilities - expected).max() < 1e-5


def test_a_class_without_any_row_is_never_predicted() -> None:
    vectors, labels = cloud([20, 0, 20], 0.3)
    probe = fit_probe(vectors, labels, np.ones(40), 3, 10)
    assert probe.bias[1] == ABSENT_CLASS_LOGIT
    assert set(probe.logits(vectors).argmax(axis=1)) == {0, 2}


def test_probe_logits_are_linear() -> None:
    probe = Probe(np.eye(2, dtype=np.float32), np.array([1, 0], dtype=np.float32))
    assert probe.logits(np.array([[3.0, 4.0]], dtype=np.float32)).tolist() == [[4.0, 4.0]]
