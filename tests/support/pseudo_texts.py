"""Synthetic texts for the tests of pseudo-labels: vectors in clouds and words of a small vocabulary, by class."""

from dataclasses import dataclass

import numpy as np
from scipy.sparse import csr_matrix

from pipeline.core.params import PseudoLabel
from pipeline.stages.pseudo_label.features import Texts
from pipeline.stages.pseudo_label.heads import Heads
from pipeline.stages.pseudo_label.rounds import Seeds, SelfTraining, estimate_class_shares, train_in_rounds
from pipeline.stages.pseudo_label.spread import build_spread

CLASS_WORDS, COMMON_WORDS, TEXT_LENGTH = 30, 300, 12  # words of one class, of all classes, and of a text
WIDTH = 32


def unit(vectors: np.ndarray) -> np.ndarray:
    """Rows of length 1, as encoders give them."""
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


def texts_of(labels: np.ndarray, classes: int, spread: float, signal: float, seed: int) -> Texts:
    """Texts around a direction for each class; ``signal`` is the share of words that only the row's class uses.

    A label of -1 gives a text of no class, in a corner of its own, with words of its own.
    """
    centres = np.random.default_rng(99).normal(size=(classes + 1, WIDTH))
    random = np.random.default_rng(seed)
    places = np.where(labels < 0, classes, labels)
    vectors = unit(centres[places] + spread * random.normal(size=(len(labels), WIDTH)))
    own = COMMON_WORDS + places[:, None] * CLASS_WORDS + random.integers(CLASS_WORDS, size=(len(labels), TEXT_LENGTH))
    common = random.integers(COMMON_WORDS, size=own.shape)
    tokens = np.where(random.random(own.shape) < signal, own, common)
    words = csr_matrix(
        (np.full(tokens.size, TEXT_LENGTH**-0.5, np.float32), tokens.ravel(), np.arange(len(labels) + 1) * TEXT_LENGTH),
        shape=(len(labels), COMMON_WORDS + CLASS_WORDS * (classes + 1)),
    )
    return Texts(vectors, words)


@dataclass(frozen=True)
class Toy:
    """A small task: texts of the seeds and of a pool with its true classes (-1: of none), and test rows."""

    seeds: Seeds
    texts: Texts
    pool_truth: np.ndarray
    test: Texts
    truth: np.ndarray
    classes: int

    def train(self, params: PseudoLabel, lead: str = "names") -> SelfTraining:
        """All rounds, with the spread of the params."""
        spread = build_spread(self.texts.vectors, self.classes, params)
        shares = estimate_class_shares(self.seeds.labels[self.seeds.is_gold], self.classes)
        return train_in_rounds(self.texts, self.seeds, spread, lead, shares, params)

    def accuracy(self, heads: Heads) -> float:
        """The accuracy of heads on the test rows."""
        return float((heads.logits(self.test).argmax(axis=1) == self.truth).mean())


def toy(
    gold: list[int], pool: list[int], *, spread: float = 0.7, signal: float = 0.2, foreign: int = 0, wrong: bool = False
) -> Toy:
    """A task with so many gold and pool rows of each class, a name for each class, and 40 test rows of each.

    ``foreign`` pool rows are of no class. With ``wrong``, each name is that of another class.
    """
    classes = len(gold)
    own, names = np.repeat(np.arange(classes), gold), np.arange(classes)
    places = np.concatenate([own, np.roll(names, 1) if wrong else names])
    pool_truth = np.concatenate([np.repeat(np.arange(classes), pool), np.full(foreign, -1)])
    truth = np.repeat(names, 40)
    texts = texts_of(np.concatenate([places, pool_truth]), classes, spread, signal, 0)
    is_name = np.arange(len(places)) >= len(own)
    seeds = Seeds(np.concatenate([own, names]), np.ones(len(places)), ~is_name, is_name)
    return Toy(seeds, texts, pool_truth, texts_of(truth, classes, spread, signal, 1), truth, classes)


def clouds(rows: int, distance: float = 3.0) -> tuple[np.ndarray, np.ndarray]:
    """Unit vectors of two clouds, and which cloud each is of."""
    random, labels = np.random.default_rng(0), np.arange(rows) % 2
    centres = distance * random.normal(size=(2, 16))
    return unit(centres[labels] + random.normal(size=(rows, 16))), labels
