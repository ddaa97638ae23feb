"""Self-training: a first head from the seeds, then rounds in which heads learn from what they were sure of.

The path is: first heads -> neighbours' agreement -> rounds (smooth, align, accept, fit) -> the heads of each round.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from pipeline.core.params import PseudoLabel
from pipeline.metrics.calibration import match_confidence, softmax
from pipeline.mitigation.reweighing import weight_factors
from pipeline.stages.pseudo_label.features import Texts, class_numbers
from pipeline.stages.pseudo_label.heads import Heads, add_words, count_words, fit_linear
from pipeline.stages.pseudo_label.spread import Spread

# Who leads in the first heads: the weights of a gold row and of a class name. Names cover the typical texts of a class,
# few rows do not; so names lead unless held-out rows say otherwise.
LEADS = {"names": (0.1, 5.0), "gold": (5.0, 5.0), "no names": (5.0, 0.0)}
SEED_WEIGHT = 5.0  # of a gold row, and of a name, beside a row of the pool with the weight 1, in the rounds
# Neighbours' agreement above which texts lie together by class. It is 0.6 to 0.85 on topics and intents, where rounds
# gain 4 points, and 0.25 to 0.5 on sentiment and hate speech, where each round after the first loses some.
MANY_ROUNDS_AGREEMENT = 0.55
FIRST_SHARE, LAST_SHARE = 0.3, 0.9  # of the pool that the first and the last of many rounds accept
HEAD_STEPS = 15  # of L-BFGS in a round, from the head of the round before
WORDS_PART = 0.5  # of the words in the logits of heads that learned from the pool
# Of the gold rows' words where one round follows; half of it at 8 rows a class.
GOLD_WORDS_PART, GOLD_WORDS_ROWS = 0.5, 8
SAMPLE_ROWS = 2000  # pool rows, evenly spaced, on which the confidence of two views is matched


@dataclass(frozen=True)
class Seeds:
    """What is known of the first rows: gold rows, augmented rows, and the names of the classes."""

    labels: np.ndarray  # (rows,) int, class numbers
    weights: np.ndarray  # (rows,) float64, 0 or more: 1 for a gold row and a name
    is_gold: np.ndarray  # (rows,) bool
    is_name: np.ndarray  # (rows,) bool; the others are augmented rows

    @staticmethod
    def of(rows: pd.DataFrame, labels: list[str]) -> "Seeds":
        """The seeds in ``rows``, of the row schema."""
        is_gold, is_name = (rows["origin"].eq(origin).to_numpy() for origin in ("gold", "class_name"))
        return Seeds(class_numbers(rows, labels), rows["weight"].to_numpy(dtype=float), is_gold, is_name)

    def take(self, rows: np.ndarray) -> "Seeds":
        """The seeds at the positions ``rows``, (selected rows,) int."""
        return Seeds(self.labels[rows], self.weights[rows], self.is_gold[rows], self.is_name[rows])

    def weigh(self, row_weight: float, name_weight: float, shares: np.ndarray) -> np.ndarray:
        """Weights for training, (rows,) float64: ``row_weight`` for a row and ``name_weight`` for a name.

        Rows are weighted so that their classes weigh as in ``shares``, (classes,) float64; each by 10 times at most.
        """
        weights = np.where(self.is_name, 0.0, self.weights)
        by_class = np.bincount(self.labels, weights, len(shares))
        wanted = np.where(by_class > 0, shares, 0)
        wanted = wanted / max(wanted.sum(), 1e-12) * weights.sum()
        factor = np.minimum(wanted / np.maximum(by_class, 1e-12), 10.0)
        return np.where(self.is_name, name_weight * self.weights, row_weight * weights * factor[self.labels])

    def weigh_first(self, lead: str, shares: np.ndarray) -> np.ndarray:
        """Weights in the first heads, (rows,) float64; ``lead`` is a key of LEADS, ``shares`` (classes,) float64."""
        return self.weigh(*LEADS[lead], shares)

    def weigh_in_rounds(self, lead: str, shares: np.ndarray) -> np.ndarray:
        """Weights beside pool rows of the weight 1, (rows,) float64; ``lead`` and ``shares`` as in `weigh_first`."""
        return self.weigh(SEED_WEIGHT, SEED_WEIGHT if LEADS[lead][1] else 0.0, shares)


@dataclass(frozen=True)
class Round:
    """The heads of a round, and the pool rows that they learned from; round 0 has none."""

    rows: np.ndarray  # (accepted,) int, positions
    labels: np.ndarray  # (accepted,) int, class numbers
    confidence: np.ndarray  # (accepted,) float64, probability of the label
    prior: np.ndarray  # (classes,) float64, estimated class shares in the pool
    heads: Heads


@dataclass(frozen=True)
class SelfTraining:
    """All rounds, round 0 first, and what they showed of the pool."""

    rounds: list[Round]
    agreement: float  # of neighbours in the pool by the first heads, 0 to 1
    foreign: int  # rows of the pool that belong to no class


def estimate_class_shares(labels: np.ndarray, classes: int) -> np.ndarray:
    """The class shares, (classes,) float64 with the sum 1, that the gold rows suggest for the pool.

    ``labels`` is (rows,), int: the class numbers of the gold rows. The shares are equal where every class has about as
    many gold rows, and the frequencies of the gold rows where these differ by far more than chance. Between the two
    they are a James-Stein estimate (Hausser & Strimmer 2009). One more row of each class is counted, because a class
    without gold rows is rare rather than absent.
    """
    frequencies = (np.bincount(labels, minlength=classes) + 1) / (len(labels) + classes)
    chance = 1 - (frequencies**2).sum()
    observed = (len(labels) - 1) * ((frequencies - 1 / classes) ** 2).sum()
    shrinkage = chance / observed if observed > chance else 1.0
    return (1 - shrinkage) * frequencies + shrinkage / classes


def train_in_rounds(
    texts: Texts, seeds: Seeds, spread: Spread, lead: str, shares: np.ndarray, params: PseudoLabel
) -> SelfTraining:
    """All rounds of self-training on the pool, after round 0, which learns from the seeds alone.

    ``texts`` are those of the seeds, then of the pool, and ``spread`` is over them; ``lead`` is a key of LEADS;
    ``shares`` is (classes,), float64: the class shares to expect.

    Round r smooths the probabilities of the heads before it along the graph, aligns them with the class prior, accepts
    the surest rows of each class, and fits new heads. The share that it accepts grows (curriculum labelling,
    Cascante-Bonilla et al. 2021), and the expected shares give way to those that the heads see. Both heads learn from
    what both together said, as in co-training (Blum & Mitchell 1998). The linear head learns from the accepted rows;
    naive Bayes counts all rows of the pool, because it bears wrong labels better than few words.

    Where few neighbours agree, a single round follows without alignment, and its heads are averaged with the first
    ones: there the rounds would drift to whatever divides the texts best.
    """
    classes, ns = len(shares), len(seeds.labels)
    weights, seed_rows = seeds.weigh_first(lead, shares), np.arange(ns)
    heads = fit_reweighed(texts.take(seed_rows), seeds.labels, weights, classes)
    rounds = [first_round(heads, shares)]
    if len(texts) == ns:
        return SelfTraining(rounds, 0.0, 0)
    positions = np.flatnonzero(spread.find_own(ns, len(texts)))
    foreign = len(texts) - len(positions)
    texts, spread, pool_rows = texts.take(positions), spread.restrict(positions), np.arange(ns, len(positions))
    pool = texts.take(pool_rows)
    agreement = spread.restrict(pool_rows).agreement(heads.logits(pool).argmax(axis=1), classes)
    count = params.rounds if agreement >= MANY_ROUNDS_AGREEMENT else 1
    sample = pool.take(np.arange(0, len(pool), -(-len(pool) // SAMPLE_ROWS)))
    if count == 1:
        heads = add_gold_words(heads, texts.take(seed_rows), seeds, weights, sample, classes)
        rounds = [first_round(heads, shares)]
    seed_weights, known = seeds.weigh_in_rounds(lead, shares), np.eye(classes, dtype=np.float32)[seeds.labels]
    linear = heads
    for progress in np.linspace(0, 1, count) if count > 1 else [1.0]:
        said = softmax(heads.logits(pool))
        smooth = spread.smooth(np.concatenate([known, said]), agreement)[ns:].astype(np.float64)
        prior = progress * smooth.mean(axis=0) + (1 - progress) * shares
        if progress < 1:
            smooth = align_to_prior(smooth, prior)
        accepted, labels = accept_surest(smooth, prior, FIRST_SHARE + (LAST_SHARE - FIRST_SHARE) * progress)
        learned, targets = np.concatenate([seed_rows, ns + accepted]), np.concatenate([seeds.labels, labels])
        row_weights = np.concatenate([seed_weights, np.ones(len(accepted))])
        linear = fit_reweighed(texts.take(learned), targets, row_weights, classes, linear, HEAD_STEPS)
        heads = linear
        if texts.words is not None:
            # Where few neighbours agree, probabilities are flat, and only the likeliest class says something.
            said = smooth if count > 1 else np.eye(classes)[smooth.argmax(axis=1)]
            table = count_words(texts.words, np.concatenate([known * seed_weights[:, None], said]))
            heads = add_words(linear, table, np.zeros(classes, dtype=np.float32), sample, WORDS_PART)
        if count == 1:
            heads = average(rounds[0].heads, heads, sample)
        confidence = smooth[accepted, labels]
        rounds.append(Round(positions[ns + accepted], labels, confidence, prior, heads))
    return SelfTraining(rounds, agreement, foreign)


def first_round(heads: Heads, shares: np.ndarray) -> Round:
    """Round 0: its ``heads`` learned from the seeds alone. ``shares`` is (classes,), float64."""
    nothing = np.zeros(0, dtype=int)
    return Round(nothing, nothing, np.zeros(0), shares, heads)


def fit_reweighed(
    texts: Texts, labels: np.ndarray, weights: np.ndarray, classes: int, start: Heads | None = None, steps: int = 40
) -> Heads:
    """The head of `fit_linear` over these texts; with groups, their weights make label and group independent.

    ``labels`` is (rows,), int: class numbers; ``weights`` is (rows,), float64, 0 or more (Kamiran & Calders 2012).
    """
    if texts.groups is not None:
        weights = weights * weight_factors(labels, texts.groups, weights)
    return fit_linear(texts.vectors, labels, weights, classes, start, steps)


def add_gold_words(heads: Heads, texts: Texts, seeds: Seeds, weights: np.ndarray, sample: Texts, classes: int) -> Heads:
    """The first heads with a regression on the words of the gold rows, the more the more rows each class has.

    ``texts`` are those of the seeds; ``weights`` is (rows,), float64. ``sample`` are pool texts on which confidence is
    matched.
    """
    gold = ~seeds.is_name & (weights > 0)
    smallest = np.bincount(seeds.labels[gold], minlength=classes).min()
    if texts.words is None or smallest == 0:
        return heads
    words = texts.words[gold]
    used = np.unique(words.indices)
    regression = fit_linear(words[:, used], seeds.labels[gold], weights[gold] / weights[gold].mean(), classes)
    table = np.zeros((words.shape[1], classes), dtype=np.float32)
    table[used] = regression.weight.T
    part = GOLD_WORDS_PART * float(smallest / (smallest + GOLD_WORDS_ROWS))
    return add_words(heads, table, regression.bias, sample, part)


def average(first: Heads, second: Heads, sample: Texts) -> Heads:
    """The mean of two heads' logits (a logarithmic opinion pool, Genest & Zidek 1986), both as sure on ``sample``."""
    confidence = float(softmax(second.logits(sample)).max(axis=1).mean())
    factor = np.float32(1 / match_confidence(first.logits(sample), confidence))
    table = None if first.table is None else factor * first.table
    return Heads(factor * first.weight, factor * first.bias, table).mix(second, 0.5)


def align_to_prior(probabilities: np.ndarray, prior: np.ndarray, steps: int = 10) -> np.ndarray:
    """``probabilities`` with the classes scaled until their means over the pool equal ``prior``.

    ``probabilities`` and the result are (rows, classes), float64, each row with the sum 1; ``prior`` is (classes,),
    float64. This is distribution alignment (Berthelot et al. 2020) by iterative proportional fitting (Sinkhorn 1964).
    """
    aligned = probabilities
    for _ in range(steps):
        aligned = aligned * (prior / np.maximum(aligned.mean(axis=0), 1e-12))
        aligned = aligned / np.maximum(aligned.sum(axis=1, keepdims=True), 1e-12)
    return aligned


def accept_surest(probabilities: np.ndarray, prior: np.ndarray, share: float) -> tuple[np.ndarray, np.ndarray]:
    """Positions of the accepted rows, (accepted,) int in rising order, and their class numbers, (accepted,) int.

    ``probabilities`` is (rows, classes), float64; ``prior`` is (classes,), float64. Each class gets its surest rows, up
    to ``share``, 0 to 1, of its expected size. A row is accepted only with the label that is likeliest for it.
    """
    likeliest, accepted = probabilities.argmax(axis=1), []
    for label, quota in enumerate(np.maximum(1, share * prior * len(probabilities)).astype(int)):
        candidates = np.flatnonzero(likeliest == label)
        accepted.append(candidates[np.argsort(-probabilities[candidates, label], kind="stable")[:quota]])
    rows = np.sort(np.concatenate(accepted))
    return rows, likeliest[rows]
