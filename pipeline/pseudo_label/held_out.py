"""How good each round is on labels it has not seen: the validation rows, or folds of the gold rows without them."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from pipeline.calibration import fit_temperature
from pipeline.params import PseudoLabel
from pipeline.pseudo_label.probe import Seeds
from pipeline.pseudo_label.rounds import label_in_rounds
from pipeline.pseudo_label.teacher import See, Vectors
from pipeline.stage import progress


@dataclass(frozen=True)
class Judgement:
    """What held-out labels say about the rounds."""

    by: str  # "validation", "folds", or why there is none
    rows: int  # held-out labels
    right: list[int] | None  # right answers by round, round 0 first
    best: int | None  # the round to keep; 0 = no pseudo-labels
    temperature: float  # makes the first teacher's confidence honest


NO_JUDGEMENT = Judgement("none: too few gold rows for folds", 0, None, None, 1.0)


def chosen(seeds: pd.DataFrame, vectors: Vectors, kept: np.ndarray) -> Seeds:
    """The kept seeds, by position, as a teacher sees them; ``seeds`` has a column ``target``, the class number."""
    rows = seeds.iloc[kept]
    return Seeds(vectors.seeds[kept], rows["target"].to_numpy(), rows["weight"].to_numpy())


def judge(seeds: pd.DataFrame, validation: np.ndarray, see: See, classes: int, params: PseudoLabel) -> Judgement:
    """Judge by ``validation``, class numbers of the validation rows, or else by folds of the gold seeds."""
    if len(validation):
        return on_validation(seeds, validation, see, classes, params)
    gold = np.flatnonzero(seeds["origin"] == "gold")
    return on_folds(seeds, gold, see, classes, params) if len(gold) >= params.folds else NO_JUDGEMENT


def on_validation(
    seeds: pd.DataFrame, validation: np.ndarray, see: See, classes: int, params: PseudoLabel
) -> Judgement:
    """Judge by validation rows, which no teacher learns from."""
    everything = np.arange(len(seeds))
    vectors = see(everything)
    rounds = label_in_rounds(chosen(seeds, vectors, everything), vectors.pool, classes, 1.0, params)
    logits = np.stack([result.probe.logits(vectors.validation) for result in rounds])
    return judgement("validation", logits, validation)


def on_folds(seeds: pd.DataFrame, gold: np.ndarray, see: See, classes: int, params: PseudoLabel) -> Judgement:
    """Judge each gold row by a teacher that saw neither the row nor what derives from it.

    ``gold`` holds the positions of the gold rows among the seeds. The pool is labelled anew in each fold, so that
    nothing of a held-out label reaches the teacher through it.
    """
    labels, sources = seeds["target"].to_numpy()[gold], seeds["source_id"].to_numpy()
    fold_of = stratified_folds(labels, params.folds, params.seed)
    parts = []
    for fold in progress(range(params.folds), "folds", total=params.folds):
        held = gold[fold_of == fold]
        kept = np.flatnonzero(~np.isin(sources, sources[held]))
        if len(held) == 0 or len(kept) == 0:
            continue
        vectors = see(kept)
        rounds = label_in_rounds(chosen(seeds, vectors, kept), vectors.pool, classes, 1.0, params)
        parts.append((held, np.stack([result.probe.logits(vectors.seeds[held]) for result in rounds])))
    if not parts:
        return NO_JUDGEMENT
    held = np.concatenate([rows for rows, _ in parts])
    return judgement("folds", np.concatenate([logits for _, logits in parts], axis=1), seeds["target"].to_numpy()[held])


def judgement(by: str, logits: np.ndarray, labels: np.ndarray) -> Judgement:
    """Count right answers by round and choose: the last of the best rounds, and round 0 only where it beats all.

    ``logits`` is (rounds, rows, classes). With few labels many rounds have the same count; pseudo-labels that cost
    nothing on held-out rows are worth having for their number.
    """
    right = (logits.argmax(axis=2) == labels).sum(axis=1)
    best = int(np.flatnonzero(right == right.max())[-1])
    return Judgement(by, len(labels), right.tolist(), best, fit_temperature(logits[0], labels))


def stratified_folds(labels: np.ndarray, folds: int, seed: int) -> np.ndarray:
    """Fold number of each row: every class is spread over the folds as evenly as it goes, from a drawn start."""
    random = np.random.default_rng(seed)
    fold_of = np.zeros(len(labels), dtype=int)
    for label in np.unique(labels):
        mine = random.permutation(np.flatnonzero(labels == label))
        fold_of[mine] = (random.integers(folds) + np.arange(len(mine))) % folds
    return fold_of
