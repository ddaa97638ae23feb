"""Synthetic texts for the tests of pseudo-labels: vectors in clouds and words of a small vocabulary, by class."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from pipeline.core.params import PseudoLabel
from pipeline.stages.pseudo_label import round_selection, words
from pipeline.stages.pseudo_label.rounds import Round, TeacherEstimate, label_in_rounds
from pipeline.stages.pseudo_label.spread import build_spread
from pipeline.stages.pseudo_label.teacher import Seeds, Teacher, Texts
from pipeline.stages.pseudo_label.views import View, fixed_view

CLASS_WORDS = 30  # words that only one class uses
COMMON_WORDS = 300  # words that all classes use
TEXT_LENGTH = 12  # words
ESTIMATE = TeacherEstimate(temperature=1.0, reliability=0.8, mix_weight=0.5)  # of a teacher between new and perfect


def unit(vectors: np.ndarray) -> np.ndarray:
    """Rows of length 1, as encoders give them."""
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


def cloud(counts: list[int], spread: float, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Unit vectors around one random direction for each class, and their class numbers."""
    centres = np.random.default_rng(99).normal(size=(len(counts), 16))
    random = np.random.default_rng(seed)
    labels = np.repeat(np.arange(len(counts)), counts)
    return unit(centres[labels] + spread * random.normal(size=(len(labels), 16))), labels


def draw_tokens(labels: np.ndarray, signal: float, seed: int = 0) -> list[list[int]]:
    """Tokens of a text for each row; ``signal`` is the share of words that only the row's class uses."""
    random = np.random.default_rng(seed)
    of_class = (
        COMMON_WORDS + labels[:, None] * CLASS_WORDS + random.integers(CLASS_WORDS, size=(len(labels), TEXT_LENGTH))
    )
    common = random.integers(COMMON_WORDS, size=of_class.shape)
    tokens: list[list[int]] = np.where(random.random(of_class.shape) < signal, of_class, common).tolist()
    return tokens


@dataclass(frozen=True)
class Toy:
    """A small task: seeds, a pool, and test rows, the last two with their true classes."""

    seeds: Seeds
    pool: Texts
    pool_truth: np.ndarray
    test: Texts
    truth: np.ndarray
    classes: int

    def rounds(self, params: PseudoLabel, estimate: TeacherEstimate = ESTIMATE) -> list[Round]:
        """All rounds with the spread of the params."""
        spread = build_spread(np.concatenate([self.seeds.texts.vectors, self.pool.vectors]), self.classes, params)
        return label_in_rounds(self.seeds, self.pool, spread, self.classes, estimate, params)

    def select_round(self, params: PseudoLabel) -> round_selection.RoundChoice:
        """The choice by folds of the seeds, all of which are gold."""
        spread = build_spread(np.concatenate([self.seeds.texts.vectors, self.pool.vectors]), self.classes, params)
        no_validation = self.pool.take(np.zeros(0, int))
        build_view = fixed_view(View(self.seeds.texts, self.pool, no_validation, spread))
        return round_selection.select_round(gold(self.seeds.labels), np.zeros(0, int), build_view, self.classes, params)

    def accuracy(self, teacher: Teacher) -> float:
        """The accuracy of a teacher on the test rows."""
        return float((teacher.logits(self.test).argmax(axis=1) == self.truth).mean())


def seed_rows(texts: Texts, labels: np.ndarray) -> Seeds:
    """Seeds of the weight 5, none of them a class name."""
    return Seeds(texts, labels, np.full(len(labels), 5.0), np.zeros(len(labels), dtype=bool))


def gold(labels: np.ndarray) -> pd.DataFrame:
    """Gold rows of these classes, as the stage gathers them: none derives from another."""
    ids = [f"gold-{row}" for row in range(len(labels))]
    return pd.DataFrame({"target": labels, "source_id": ids, "weight": 5.0, "origin": "gold"})


def toy(
    seeds: list[int],
    pool: list[int],
    *,
    spread: float,
    signal: float,
    draw: int = 0,
    outliers: float = 0.0,
    test: int = 40,
) -> Toy:
    """A task with so many seeds and pool rows of each class, ``test`` test rows of each, drawn by ``draw``.

    ``outliers`` is the share of the pool that belongs to no class: random vectors, words of all classes.
    """
    classes = len(seeds)
    parts = [cloud(counts, spread, 3 * draw + i) for i, counts in enumerate((seeds, pool, [test] * classes))]
    tokens = [draw_tokens(labels, signal, 1000 + 3 * draw + i) for i, (_, labels) in enumerate(parts)]
    random = np.random.default_rng(draw)
    outlier_rows = int(outliers * len(parts[1][0]) / (1 - outliers))
    outlier_vectors = unit(random.normal(size=(outlier_rows, 16)))
    vectors = [parts[0][0], np.concatenate([parts[1][0], outlier_vectors]), parts[2][0]]
    vocabulary = COMMON_WORDS + CLASS_WORDS * classes
    tokens[1] += random.integers(vocabulary, size=(outlier_rows, TEXT_LENGTH)).tolist()
    idf = words.inverse_document_frequency(tokens[0] + tokens[1], vocabulary, [])
    texts = [Texts(v, words.token_features(t, idf)) for v, t in zip(vectors, tokens, strict=True)]
    pool_truth = np.concatenate([parts[1][1], np.full(outlier_rows, -1)])
    return Toy(seed_rows(texts[0], parts[0][1]), texts[1], pool_truth, texts[2], parts[2][1], classes)


def toy_without_words(seeds: list[int], pool: list[int], spread: float, test: list[int]) -> Toy:
    """A task whose texts have no words."""
    parts = [cloud(counts, spread, seed) for seed, counts in enumerate((seeds, pool, test))]
    (vectors, labels), (pool_vectors, pool_truth), (test_vectors, truth) = parts
    return Toy(
        seed_rows(Texts(vectors), labels), Texts(pool_vectors), pool_truth, Texts(test_vectors), truth, len(seeds)
    )
