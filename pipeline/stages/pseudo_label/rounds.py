"""Self-training in rounds: the teacher labels the pool, learns from its surest labels, and labels the pool again."""

from dataclasses import dataclass, replace

import numpy as np

from pipeline.core.params import PseudoLabel
from pipeline.metrics.calibration import softmax
from pipeline.stages.pseudo_label.acceptance import accept_pseudo_labels
from pipeline.stages.pseudo_label.class_prior import align_to_prior, estimate_class_prior
from pipeline.stages.pseudo_label.spread import Spread
from pipeline.stages.pseudo_label.teacher import Seeds, Teacher, Texts, fit_teacher

# The weight of naive Bayes in the words of the first teacher. Naive Bayes counts the words of each class, and a few
# seeds have too few words to count.
FIRST_NAIVE_BAYES_WEIGHT = 0.0


@dataclass(frozen=True)
class TeacherEstimate:
    """What is known of the teachers before the rounds, from held-out labels or else from params."""

    temperature: float  # at which the first teacher's confidence matches its accuracy
    reliability: float  # 0 (guesses) to 1 (always right)
    mix_weight: float  # of the words in the logits of teachers that learn from the pool, 0 to 1
    first_mix_weight: float = 0.0  # of the words in the logits of the first teacher, which knows few words
    names_first: bool = False  # whether class names choose the rows of round 1 without the other seeds
    class_shares: np.ndarray | None = (
        None  # (classes,) float64, expected in the pool before it is labelled; None: equal
    )


@dataclass(frozen=True)
class Round:
    """One teacher, and the pool rows that it learned from."""

    rows: np.ndarray  # (accepted,) int, positions in the pool
    labels: np.ndarray  # (accepted,) int, class numbers
    confidence: np.ndarray  # (accepted,) float64, probability of the label
    prior: np.ndarray  # (classes,) float64, estimated class shares in the pool
    teacher: Teacher


def fit_round_0(seeds: Seeds, pool: Texts, classes: int, params: PseudoLabel, mix_weight: float) -> Round:
    """Round 0: the first teacher, which learns from no pool row; its words have ``mix_weight``, 0 to 1."""
    no_rows = np.zeros(0, dtype=int)
    teacher = fit_teacher(seeds, pool, classes, params, FIRST_NAIVE_BAYES_WEIGHT, mix_weight)
    return Round(no_rows, no_rows, np.zeros(0), np.full(classes, 1 / classes), teacher)


def label_in_rounds(
    seeds: Seeds, pool: Texts, spread: Spread, classes: int, estimate: TeacherEstimate, params: PseudoLabel
) -> list[Round]:
    """All rounds of self-training; round 0, at index 0, has no pseudo-labels.

    Round r accepts the pool rows of which the teacher of round r-1 is surest, after label spreading over seeds and
    pool, in this order. It accepts a growing share of the pool, and of each class up to its estimated share (curriculum
    labelling, Cascante-Bonilla et al. 2021, with a class prior as in distribution alignment, Berthelot et al. 2020). It
    then fits a new teacher on these rows and the seeds. Both views of that teacher learn from what both together were
    sure of, as in co-training (Blum & Mitchell 1998). In the last round the graph is built after within-class
    whitening with the labels of the round before.

    With ``estimate.names_first``, a teacher of class names only labels the pool for round 1. Its labels are right less
    often than those of all seeds. They are still the better start where classes are broad: they cover typical texts of
    each class rather than whatever resembles the few rows that happen to be labelled. This teacher has no words,
    because a class name has only one or two.
    """
    equal_shares = np.full(classes, 1 / classes)
    expected = estimate.class_shares if estimate.class_shares is not None else equal_shares
    rounds = [replace(fit_round_0(seeds, pool, classes, params, estimate.first_mix_weight), prior=expected)]
    if len(pool) == 0:
        return rounds
    teacher = rounds[0].teacher
    if estimate.names_first:
        teacher = fit_round_0(seeds.only_class_names(), pool, classes, params, mix_weight=0.0).teacher
    for number, share in enumerate(np.linspace(params.first_share, params.last_share, params.rounds), start=1):
        previous = rounds[-1]
        if params.whiten_last_graph and number == params.rounds and len(previous.rows):
            vectors = np.concatenate([seeds.texts.vectors, pool.vectors])
            spread = spread.whiten(vectors, len(seeds.labels) + previous.rows, previous.labels)
        rounds.append(fit_round(teacher, seeds, pool, spread, classes, share, expected, estimate, params))
        teacher = rounds[-1].teacher
    return rounds


def fit_round(
    previous: Teacher,
    seeds: Seeds,
    pool: Texts,
    spread: Spread,
    classes: int,
    share: float,
    expected: np.ndarray,
    estimate: TeacherEstimate,
    params: PseudoLabel,
) -> Round:
    """One round: the ``previous`` teacher labels the pool, and a new one learns from its surest labels.

    ``share``, 0 to 1, is the share of the pool to accept. ``expected`` is (classes,), float64: the class shares that
    the class prior is shrunk towards.
    """
    seed_labels = np.eye(classes)[seeds.labels] * seeds.weights[:, None]
    predicted = softmax(previous.logits(pool), estimate.temperature)
    smoothed = spread.smooth(np.concatenate([seed_labels, predicted]), params.spread_alpha)[len(seed_labels) :]
    prior = estimate_class_prior(smoothed, 1 - estimate.reliability, expected)
    probabilities = align_to_prior(smoothed, prior)
    rows, labels = accept_pseudo_labels(probabilities, prior, share, params.min_confidence)
    training = seeds.join(pool.take(rows), labels)
    teacher = fit_teacher(training, pool, classes, params, estimate.reliability, estimate.mix_weight)
    return Round(rows, labels, probabilities[rows, labels], prior, teacher)
