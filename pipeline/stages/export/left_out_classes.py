"""How many texts of no class would get a label: measured on classes that are left out, as if nobody had labelled them.

No labelled row is out of scope, and out-of-scope rows that a person gives are of the kinds that they thought of. So
each class is left out once: what the bundle abstains by is fitted without its rows and its name, and its rows are
scored. Texts like them stay in the pool, as texts of a new class would be.
"""

from dataclasses import replace

import numpy as np

from pipeline.models.abstention import Abstention
from pipeline.stages.export.abstention_fit import Known, Pool, fit_abstention

CLASS_FOLDS = 4  # of the classes; those of one fold are left out together, as unknown classes come in numbers
MIN_CLASSES = 3  # with fewer, one class at most would stay


def answered_of_left_out(fitted: Abstention, known: Known, rows: int, pool: Pool, seed: int) -> float | None:
    """The share of gold rows that get a label by what was fitted without their class, 0 to 1; None with two classes.

    Threshold and weights are those of ``fitted``. The gold rows are the first ``rows`` texts of ``known``.
    """
    classes = np.unique(known.classes)
    if len(classes) < MIN_CLASSES or not rows:
        return None
    folds = np.random.default_rng(seed).permutation(len(classes)) % min(CLASS_FOLDS, len(classes))
    fold_of_text = folds[np.searchsorted(classes, known.classes)]
    is_gold = np.arange(len(known.classes)) < rows
    answered = []
    for fold in np.unique(folds):
        left_out = fold_of_text == fold
        draft = fit_abstention(known.keep(~left_out), pool, fitted.settings)
        without = replace(draft, weights=fitted.weights)
        answered.append(~without.refuses(without.scores(known.vectors[left_out & is_gold])))
    return float(np.concatenate(answered).mean())
