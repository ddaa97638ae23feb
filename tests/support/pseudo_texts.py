"""Texts made up for the tests of pseudo-labels: vectors in clouds and words of a small vocabulary, by class."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from pipeline.core.params import PseudoLabel
from pipeline.stages.pseudo_label import round_selection, words
from pipeline.stages.pseudo_label.rounds import Round, TeacherEstimate, label_in_rounds
from pipeline.stages.pseudo_label.spread import spread
from pipeline.stages.pseudo_label.teacher import Seeds, Teacher, Texts
from pipeline.stages.pseudo_label.views import View, as_they_are

OWN = 30  # words that only one class uses
COMMON = 300  # words that all classes use
LENGTH = 12  # of a text, in words
BELIEF = TeacherEstimate(temperature=1.0, trust=0.8, part=0.5)  # in a teacher that is neither new nor perfect


def unit(vectors: np.ndarray) -> np.ndarray:
    """Rows of length 1, as encoders give them."""
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


def cloud(counts: list[int], spread: float, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Unit vectors around one random direction a class, and their class numbers."""
    centres = np.random.default_rng(99).normal(size=(len(counts), 16))
    random = np.random.default_rng(seed)
    labels = np.repeat(np.arange(len(counts)), counts)
    return unit(centres[labels] + spread * random.normal(size=(len(labels), 16))), labels


def talk(labels: np.ndarray, signal: float, seed: int = 0) -> list[list[int]]:
    """Tokens of a text of each row; ``signal`` is the share of words that only the row's class uses."""
    random = np.random.default_rng(seed)
    own = COMMON + labels[:, None] * OWN + random.integers(OWN, size=(len(labels), LENGTH))
    common = random.integers(COMMON, size=own.shape)
    chosen: list[list[int]] = np.where(random.random(own.shape) < signal, own, common).tolist()
    return chosen


@dataclass(frozen=True)
class Toy:
    """A small task: seeds, a pool, and test rows, the last two with their true classes."""

    seeds: Seeds
    pool: Texts
    pool_truth: np.ndarray
    test: Texts
    truth: np.ndarray
    classes: int

    def rounds(self, params: PseudoLabel, belief: TeacherEstimate = BELIEF) -> list[Round]:
        """All rounds over the spread that the params say."""
        around = spread(np.concatenate([self.seeds.texts.vectors, self.pool.vectors]), self.classes, params)
        return label_in_rounds(self.seeds, self.pool, around, self.classes, belief, params)

    def judge(self, params: PseudoLabel) -> round_selection.Judgement:
        """What folds of the seeds, all of them gold, say."""
        around = spread(np.concatenate([self.seeds.texts.vectors, self.pool.vectors]), self.classes, params)
        nothing = self.pool.pick(np.zeros(0, int))
        see = as_they_are(View(self.seeds.texts, self.pool, nothing, around))
        return round_selection.judge(gold(self.seeds.labels), np.zeros(0, int), see, self.classes, params)

    def accuracy(self, teacher: Teacher) -> float:
        """Of a teacher, on the test rows."""
        return float((teacher.logits(self.test).argmax(axis=1) == self.truth).mean())


def seed_rows(texts: Texts, labels: np.ndarray) -> Seeds:
    """Seeds of weight 5 each, none of them a name."""
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
    strangers: float = 0.0,
    test: int = 40,
) -> Toy:
    """A task with so many seeds and pool rows of each class, ``test`` test rows of each, and its own ``draw``.

    ``strangers`` is the share of the pool that belongs to no class: random vectors, words of nobody in particular.
    """
    classes = len(seeds)
    parts = [cloud(counts, spread, 3 * draw + i) for i, counts in enumerate((seeds, pool, [test] * classes))]
    tokens = [talk(labels, signal, 1000 + 3 * draw + i) for i, (_, labels) in enumerate(parts)]
    random = np.random.default_rng(draw)
    odd = int(strangers * len(parts[1][0]) / (1 - strangers))
    vectors = [parts[0][0], np.concatenate([parts[1][0], unit(random.normal(size=(odd, 16)))]), parts[2][0]]
    vocabulary = COMMON + OWN * classes
    tokens[1] += random.integers(vocabulary, size=(odd, LENGTH)).tolist()
    idf = words.inverse_frequency(tokens[0] + tokens[1], vocabulary, [])
    texts = [Texts(v, words.features(t, idf)) for v, t in zip(vectors, tokens, strict=True)]
    truth = np.concatenate([parts[1][1], np.full(odd, -1)])
    return Toy(seed_rows(texts[0], parts[0][1]), texts[1], truth, texts[2], parts[2][1], classes)
