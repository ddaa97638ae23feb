"""The teacher: a mixture of a probe over the encoder's vectors and a linear classifier over the words of a text."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from pipeline.core.params import PseudoLabel
from pipeline.metrics.calibration import match_confidence, softmax
from pipeline.mitigation.reweighing import weight_factors
from pipeline.stages.pseudo_label.probe import Probe, fit_probe
from pipeline.stages.pseudo_label.words import WordClassifier, fit_logistic_regression, fit_naive_bayes

# Pool rows, evenly spaced, on which the confidence of the two views is matched. The standard error of a mean confidence
# over so many rows is about a point at most.
CONFIDENCE_SAMPLE_ROWS = 2000


@dataclass(frozen=True)
class Texts:
    """Both views of some rows, and their groups."""

    vectors: np.ndarray  # (rows, width) float32, unit length
    features: Any = None  # sparse (rows, tokens that count) float32, or None where words are not used
    groups: np.ndarray | None = None  # (rows, attributes) int, -1 if unknown: for weights only, no model reads them

    def __len__(self) -> int:
        return len(self.vectors)

    def take(self, rows: np.ndarray) -> "Texts":
        """The rows at the positions ``rows``, (selected rows,) int."""
        features, groups = (None if part is None else part[rows] for part in (self.features, self.groups))
        return Texts(self.vectors[rows], features, groups)


@dataclass(frozen=True)
class Seeds:
    """Labelled rows that a teacher learns from: gold, augmented, class names, and in a round accepted pool rows."""

    texts: Texts
    labels: np.ndarray  # (rows,) int, class numbers
    weights: np.ndarray  # (rows,) float64, 0 or more
    is_class_name: np.ndarray  # (rows,) bool

    def without_class_names(self) -> "Seeds":
        """The same rows, with the weight 0 for class names."""
        return replace(self, weights=np.where(self.is_class_name, 0.0, self.weights))

    def only_class_names(self) -> "Seeds":
        """The same rows, with the weight 0 for all but class names."""
        return replace(self, weights=np.where(self.is_class_name, self.weights, 0.0))

    def join(self, texts: Texts, labels: np.ndarray) -> "Seeds":
        """These rows and further ones with the class numbers ``labels``, (rows,) int, each of the weight 1."""
        from scipy.sparse import vstack

        seeds = self.texts
        features = None if seeds.features is None else vstack([seeds.features, texts.features], "csr")
        groups = None if seeds.groups is None else np.concatenate([seeds.groups, texts.groups])
        return Seeds(
            Texts(np.concatenate([seeds.vectors, texts.vectors]), features, groups),
            np.concatenate([self.labels, labels]),
            np.concatenate([self.weights, np.ones(len(labels))]),
            np.concatenate([self.is_class_name, np.zeros(len(labels), dtype=bool)]),
        )

    def training_weights(self) -> np.ndarray:
        """The weights, (rows,) float64, that models are fitted with: reweighed where the texts have groups.

        Reweighing makes label and group independent (Kamiran & Calders 2012).
        """
        if self.texts.groups is None:
            return self.weights
        return self.weights * weight_factors(self.labels, self.texts.groups, self.weights)


@dataclass(frozen=True)
class Teacher:
    """A product of experts (Hinton 2002): logits = (1 - mix_weight) * probe + mix_weight * words."""

    probe: Probe
    words: WordClassifier | None = None
    mix_weight: float = 0.0  # of the words, 0 to 1

    def logits(self, texts: Texts, mix_weight: float | None = None) -> np.ndarray:
        """The logits, (rows, classes) float32; a ``mix_weight``, 0 to 1, takes the place of the teacher's."""
        mix_weight = self.mix_weight if mix_weight is None else mix_weight
        probe_logits = self.probe.logits(texts.vectors)
        if self.words is None:
            return probe_logits
        return (1 - mix_weight) * probe_logits + mix_weight * self.words.logits(texts.features)


def fit_teacher(
    seeds: Seeds, pool: Texts, classes: int, params: PseudoLabel, naive_bayes_weight: float, mix_weight: float
) -> Teacher:
    """A teacher that is fitted on ``seeds`` from nothing; its words have ``mix_weight``, 0 to 1, in the logits.

    It has no words where ``mix_weight`` is 0, the texts have no word features, or the pool is empty.
    """
    weights = seeds.training_weights()
    probe = fit_probe(seeds.texts.vectors, seeds.labels, weights, classes, params.inverse_l2)
    if mix_weight == 0 or seeds.texts.features is None or len(pool) == 0:
        return Teacher(probe)
    sample = pool.take(np.arange(0, len(pool), -(-len(pool) // CONFIDENCE_SAMPLE_ROWS)))
    confidence = float(softmax(probe.logits(sample.vectors)).max(axis=1).mean())
    words = fit_words(seeds, weights, classes, params, naive_bayes_weight, sample.features, confidence)
    return Teacher(probe, words, mix_weight)


def fit_words(
    seeds: Seeds,
    weights: np.ndarray,
    classes: int,
    params: PseudoLabel,
    naive_bayes_weight: float,
    sample: Any,
    confidence: float,
) -> WordClassifier:
    """Naive Bayes with ``naive_bayes_weight``, 0 to 1, and logistic regression with the rest, as one classifier.

    Naive Bayes learns more where the labels are right. Where they are wrong, it drifts towards whatever divides the
    texts best. ``weights`` is (rows,), float64: those of the seeds. ``sample`` holds sparse features of pool rows,
    (rows, tokens that count), float32. Both models are scaled to the mean ``confidence``, 0 to 1, on the sample;
    otherwise the more confident one would decide alone.
    """
    training = (seeds.texts.features, seeds.labels, weights, classes)
    scaled = []
    for model_weight, model in (
        (naive_bayes_weight, fit_naive_bayes(*training, params.words.naive_bayes_alpha)),
        (1 - naive_bayes_weight, fit_logistic_regression(*training, params.words.inverse_l2)),
    ):
        factor = np.float32(model_weight / match_confidence(model.logits(sample), confidence))
        scaled.append((factor * model.table, factor * model.bias))
    (bayes_weights, bayes_bias), (regression_weights, regression_bias) = scaled
    return WordClassifier(bayes_weights + regression_weights, bayes_bias + regression_bias)
