"""How good each round is on labels it has not seen: the validation rows, or folds of the gold rows without them."""

from dataclasses import dataclass

import numpy as np

from pipeline.params import PseudoLabel
from pipeline.pseudo_label.probe import Seeds, fit, softmax
from pipeline.pseudo_label.rounds import label_in_rounds
from pipeline.stage import progress

Labelled = tuple[np.ndarray, np.ndarray]  # vectors (rows, width) and class numbers (rows,)


@dataclass(frozen=True)
class Judgement:
    """What held-out labels say about the rounds."""

    by: str  # "validation", "folds", or why there is none
    rows: int  # held-out labels
    right: list[int] | None  # right answers by round, round 0 first
    best: int | None  # the round to keep; 0 = no pseudo-labels
    temperature: float  # makes the first teacher's confidence honest


NO_JUDGEMENT = Judgement("none: too few gold rows for folds", 0, None, None, 1.0)


def on_validation(seeds: Seeds, held: Labelled, pool: np.ndarray, classes: int, params: PseudoLabel) -> Judgement:
    """Judge by validation rows, which no teacher learns from."""
    vectors, labels = held
    first = fit(seeds.vectors, seeds.labels, seeds.weights, classes, params.c)
    temperature = fit_temperature(first.logits(vectors), labels)
    rounds = label_in_rounds(seeds, pool, classes, temperature, params)
    logits = np.stack([result.probe.logits(vectors) for result in rounds])
    return judgement("validation", logits, labels, temperature)


def on_folds(seeds: Seeds, gold: np.ndarray, pool: np.ndarray, classes: int, params: PseudoLabel) -> Judgement:
    """Judge each gold row by a teacher that saw neither the row nor what derives from it.

    ``gold`` marks the seeds that are gold rows. The pool is labelled anew in each fold, so that nothing of a held-out
    label reaches the teacher through it.
    """
    rows = np.flatnonzero(gold)
    fold_of = stratified_folds(seeds.labels[rows], params.folds, params.seed)
    rounds = params.rounds if len(pool) else 0
    logits = np.zeros((rounds + 1, len(rows), classes), dtype=np.float32)
    for fold in progress(np.unique(fold_of), "folds", total=len(np.unique(fold_of))):
        held = rows[fold_of == fold]
        kept = seeds.take(np.flatnonzero(~np.isin(seeds.sources, seeds.sources[held])))
        for i, result in enumerate(label_in_rounds(kept, pool, classes, 1.0, params)):
            logits[i, fold_of == fold] = result.probe.logits(seeds.vectors[held])
    temperature = fit_temperature(logits[0], seeds.labels[rows])
    return judgement("folds", logits, seeds.labels[rows], temperature)


def judgement(by: str, logits: np.ndarray, labels: np.ndarray, temperature: float) -> Judgement:
    """Count right answers by round and choose: the last of the best rounds, and round 0 only where it beats all.

    With few labels many rounds have the same count; pseudo-labels that cost nothing on held-out rows are worth
    having for their number.
    """
    right = (logits.argmax(axis=2) == labels).sum(axis=1)
    best = int(np.flatnonzero(right == right.max())[-1])
    return Judgement(by, len(labels), right.tolist(), best, temperature)


def stratified_folds(labels: np.ndarray, folds: int, seed: int) -> np.ndarray:
    """Fold number of each row: every class is spread over the folds as evenly as it goes, from a drawn start."""
    random = np.random.default_rng(seed)
    fold_of = np.zeros(len(labels), dtype=int)
    for label in np.unique(labels):
        mine = random.permutation(np.flatnonzero(labels == label))
        fold_of[mine] = (random.integers(folds) + np.arange(len(mine))) % folds
    return fold_of


def fit_temperature(logits: np.ndarray, labels: np.ndarray) -> float:
    """The temperature that makes held-out probabilities honest (Guo et al. 2017), between 0.05 and 5."""
    from scipy.optimize import minimize_scalar

    def loss(log_temperature: float) -> float:
        probabilities = softmax(logits, float(np.exp(log_temperature)))
        return float(-np.log(np.maximum(probabilities[np.arange(len(labels)), labels], 1e-12)).mean())

    return float(np.exp(minimize_scalar(loss, bounds=(np.log(0.05), np.log(5)), method="bounded").x))
