"""Two views of each text, the encoder's vector and its words, and the teacher that listens to both."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from pipeline.core.params import WordsView
from pipeline.metrics.calibration import match_confidence, softmax
from pipeline.mitigation.reweighing import factors
from pipeline.stages.pseudo_label import words
from pipeline.stages.pseudo_label.probe import Probe, fit
from pipeline.stages.pseudo_label.words import Words

SAMPLE = 2000  # pool rows, evenly spaced, that show how sure a view is


@dataclass(frozen=True)
class Texts:
    """What a teacher sees of some rows."""

    vectors: np.ndarray  # (rows, width) float32, unit length
    features: Any = None  # sparse (rows, tokens that count), or None where nobody looks at the words
    groups: np.ndarray | None = None  # (rows, attributes) group numbers: they set weights, and no view sees them

    def __len__(self) -> int:
        return len(self.vectors)

    def pick(self, rows: np.ndarray) -> "Texts":
        """These rows, by position."""
        features, groups = (None if part is None else part[rows] for part in (self.features, self.groups))
        return Texts(self.vectors[rows], features, groups)


@dataclass(frozen=True)
class Seeds:
    """Rows whose label is given (gold, augmented, and the names of the classes), or taken as given in a round."""

    texts: Texts
    labels: np.ndarray  # (rows,) class numbers
    weights: np.ndarray  # (rows,) how much each counts
    names: np.ndarray  # (rows,) whether each is the name of a class

    def without_names(self) -> "Seeds":
        """The same rows, the names of the classes without weight."""
        return replace(self, weights=np.where(self.names, 0.0, self.weights))

    def names_alone(self) -> "Seeds":
        """The same rows, all but the names of the classes without weight."""
        return replace(self, weights=np.where(self.names, self.weights, 0.0))

    def join(self, texts: Texts, labels: np.ndarray) -> "Seeds":
        """These and further rows, each of which counts 1."""
        from scipy.sparse import vstack

        own = self.texts
        features = None if own.features is None else vstack([own.features, texts.features], "csr")
        groups = None if own.groups is None else np.concatenate([own.groups, texts.groups])
        return Seeds(
            Texts(np.concatenate([own.vectors, texts.vectors]), features, groups),
            np.concatenate([self.labels, labels]),
            np.concatenate([self.weights, np.ones(len(labels))]),
            np.concatenate([self.names, np.zeros(len(labels), dtype=bool)]),
        )

    def balanced(self) -> np.ndarray:
        """The weights, (rows,), by which label and group are independent; as they are where nobody asks for that."""
        if self.texts.groups is None:
            return self.weights
        return self.weights * factors(self.labels, self.texts.groups, self.weights)


@dataclass(frozen=True)
class Teacher:
    """Logits of both views, mixed: (1 - part) * probe + part * words (a product of experts, Hinton 2002)."""

    probe: Probe
    words: Words | None = None
    part: float = 0.0

    def logits(self, texts: Texts, part: float | None = None) -> np.ndarray:
        """(rows, classes); ``part`` tries another mixture than the teacher's own."""
        part = self.part if part is None else part
        own = self.probe.logits(texts.vectors)
        return own if self.words is None else (1 - part) * own + part * self.words.logits(texts.features)


def teach(seeds: Seeds, pool: Texts, classes: int, c: float, view: WordsView, trust: float, part: float) -> Teacher:
    """A teacher of both views, trained from nothing on ``seeds``.

    Of the words, naive Bayes speaks with ``trust`` and logistic regression with the rest: the first learns most where
    the labels are right, and drifts to whatever divides the texts best where they are not. Each is made as sure as the
    probe is on the pool, else the surer one would decide alone.
    """
    weights = seeds.balanced()
    probe = fit(seeds.texts.vectors, seeds.labels, weights, classes, c)
    if part == 0 or seeds.texts.features is None or len(pool) == 0:
        return Teacher(probe)
    some = pool.pick(np.arange(0, len(pool), -(-len(pool) // SAMPLE)))
    sure = float(softmax(probe.logits(some.vectors)).max(axis=1).mean())
    known = (seeds.texts.features, seeds.labels, weights, classes)
    parts = []
    for view_part, model in (
        (trust, words.bayes(*known, view.naive_bayes_alpha)),
        (1 - trust, words.regression(*known, view.inverse_l2)),
    ):
        factor = np.float32(view_part / match_confidence(model.logits(some.features), sure))
        parts.append((factor * model.table, factor * model.bias))
    return Teacher(probe, Words(parts[0][0] + parts[1][0], parts[0][1] + parts[1][1]), part)
