"""Self-training in rounds: the teacher labels the pool, learns from what it is surest of, and labels it again."""

from dataclasses import dataclass

import numpy as np

from pipeline.calibration import softmax
from pipeline.params import PseudoLabel
from pipeline.pseudo_label import graph
from pipeline.pseudo_label.probe import Probe, Seeds, fit
from pipeline.pseudo_label.selection import align, estimate_prior, select


@dataclass(frozen=True)
class Round:
    """One teacher, and the pool rows that it learned from."""

    rows: np.ndarray  # (accepted,) positions in the pool
    labels: np.ndarray  # (accepted,) class numbers
    confidence: np.ndarray  # (accepted,) probability of the label
    prior: np.ndarray  # (classes,) estimated shares of the classes in the pool
    probe: Probe


def label_in_rounds(
    seeds: Seeds, pool: np.ndarray, classes: int, temperature: float, params: PseudoLabel
) -> list[Round]:
    """Every round of self-training, the teacher before the first one at index 0.

    Round r takes the rows of the pool that the teacher of round r-1 is surest of, after near texts have told each other
    their labels: a growing share of the pool, each class up to its estimated share (curriculum labelling,
    Cascante-Bonilla et al. 2021, with a class prior as in distribution alignment, Berthelot et al. 2020). It then fits
    a new teacher from nothing on those rows and the seeds.
    """
    probe = fit(seeds.vectors, seeds.labels, seeds.weights, classes, params.c)
    nothing = np.zeros(0, dtype=int)
    rounds = [Round(nothing, nothing, np.zeros(0), np.full(classes, 1 / classes), probe)]
    if len(pool) == 0:
        return rounds
    given = np.eye(classes)[seeds.labels] * seeds.weights[:, None]
    neighbours = graph.build(np.concatenate([seeds.vectors, pool]), params.neighbours)
    for share in np.linspace(params.first_share, params.last_share, params.rounds):
        own = softmax(probe.logits(pool), temperature)
        spread = neighbours.smooth(np.concatenate([given, own]), params.smoothing)[len(given) :]
        prior = estimate_prior(spread, params.prior_shrinkage)
        probabilities = align(spread, prior)
        rows, labels = select(probabilities, prior, share, params.min_confidence)
        probe = fit(
            np.concatenate([seeds.vectors, pool[rows]]),
            np.concatenate([seeds.labels, labels]),
            np.concatenate([seeds.weights, np.ones(len(rows))]),
            classes,
            params.c,
        )
        rounds.append(Round(rows, labels, probabilities[rows, labels], prior, probe))
    return rounds
