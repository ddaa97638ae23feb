"""Self-training in rounds: the teacher labels the pool, learns from what it is surest of, and labels it again."""

from dataclasses import dataclass, replace

import numpy as np

from pipeline.core.params import PseudoLabel
from pipeline.metrics.calibration import softmax
from pipeline.stages.pseudo_label.selection import align, estimate_prior, select
from pipeline.stages.pseudo_label.spread import Spread
from pipeline.stages.pseudo_label.teacher import Seeds, Teacher, Texts, teach

# In the naive Bayes of the first teacher: what words a class has can be counted in many texts, not in a few seeds.
FIRST_TRUST = 0.0


@dataclass(frozen=True)
class TeacherEstimate:
    """What held-out labels say of the first teacher, or params where none can be held out, and the mix of gold rows."""

    temperature: float  # makes its confidence honest
    trust: float  # 0: it guesses | 1: it is always right
    part: float  # of the words in the logits of the teachers that have learned from the pool
    first_part: float = 0.0  # in those of the first teacher, which knows few words
    names_first: bool = False  # names of classes alone are fit to choose the rows of round 1
    shares: np.ndarray | None = None  # (classes,) that the pool is thought to have before it is labelled; None: equal


@dataclass(frozen=True)
class Round:
    """One teacher, and the pool rows that it learned from."""

    rows: np.ndarray  # (accepted,) positions in the pool
    labels: np.ndarray  # (accepted,) class numbers
    confidence: np.ndarray  # (accepted,) probability of the label
    prior: np.ndarray  # (classes,) estimated shares of the classes in the pool
    teacher: Teacher


def first(seeds: Seeds, pool: Texts, classes: int, params: PseudoLabel, part: float) -> Round:
    """The teacher before the first round, in whose logits the words have this part."""
    nothing = np.zeros(0, dtype=int)
    start = teach(seeds, pool, classes, params.inverse_l2, params.words, FIRST_TRUST, part)
    return Round(nothing, nothing, np.zeros(0), np.full(classes, 1 / classes), start)


def label_in_rounds(
    seeds: Seeds, pool: Texts, spread: Spread, classes: int, belief: TeacherEstimate, params: PseudoLabel
) -> list[Round]:
    """Every round of self-training, the teacher before the first one at index 0.

    Round r takes the rows of the pool that the teacher of round r-1 is surest of, after near texts have told each other
    their labels: a growing share of the pool, each class up to its estimated share (curriculum labelling,
    Cascante-Bonilla et al. 2021, with a class prior as in distribution alignment, Berthelot et al. 2020). It then fits
    a new teacher from nothing on those rows and the seeds; its two views learn from what both together were sure of,
    as in co-training (Blum & Mitchell 1998). ``spread`` is over seeds and pool, in this order. In the last round texts
    count as near by what tells the classes apart, as the labels of the round before show it.

    Names of classes that are fit to lead choose the rows of round 1 by themselves. Those are right less often than what
    names and gold rows choose together, and yet the better start where classes are broad: plain cases of all kinds, not
    whatever resembles the few rows that happened to be labelled. Of a name nothing but its vector is heard: it is a
    word or two.
    """
    thought = belief.shares if belief.shares is not None else np.full(classes, 1 / classes)
    rounds = [replace(first(seeds, pool, classes, params, belief.first_part), prior=thought)]
    if len(pool) == 0:
        return rounds
    led = first(seeds.names_alone(), pool, classes, params, part=0.0) if belief.names_first else rounds[0]
    teacher = led.teacher
    given = np.eye(classes)[seeds.labels] * seeds.weights[:, None]
    for number, share in enumerate(np.linspace(params.first_share, params.last_share, params.rounds), start=1):
        before = rounds[-1]
        if params.whiten_last_graph and number == params.rounds and len(before.rows):
            vectors = np.concatenate([seeds.texts.vectors, pool.vectors])
            spread = spread.compact(vectors, len(given) + before.rows, before.labels)
        own = softmax(teacher.logits(pool), belief.temperature)
        shared = spread.smooth(np.concatenate([given, own]), params.spread_alpha)[len(given) :]
        prior = estimate_prior(shared, 1 - belief.trust, thought)
        probabilities = align(shared, prior)
        rows, labels = select(probabilities, prior, share, params.min_confidence)
        learned = seeds.join(pool.pick(rows), labels)
        teacher = teach(learned, pool, classes, params.inverse_l2, params.words, belief.trust, belief.part)
        rounds.append(Round(rows, labels, probabilities[rows, labels], prior, teacher))
    return rounds
