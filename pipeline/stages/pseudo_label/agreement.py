"""Agreement of the two views on the pool: what can be known of the rounds without any held-out label.

Two views that err independently agree mostly where both are right, so their disagreement bounds the error (Dasgupta et
al. 2001). These two views have learned some labels from each other, so their agreement is no such bound. It still
separates tasks whose classes can be distinguished from tasks whose classes cannot.
"""

import numpy as np

from pipeline.core.params import PseudoLabel
from pipeline.stages.pseudo_label.rounds import TeacherEstimate, label_in_rounds
from pipeline.stages.pseudo_label.scores import mcnemar_z
from pipeline.stages.pseudo_label.teacher import Seeds
from pipeline.stages.pseudo_label.views import View


def predict_by_view(
    seeds: Seeds, view: View, classes: int, estimate: TeacherEstimate, params: PseudoLabel
) -> np.ndarray | None:
    """The classes of the pool rows by vectors only and by words only, (2, pool rows) int, after a single round.

    Each further round would teach both views the same labels, so their agreement is most informative after the first.
    The result is None where there is no pool or no second view.
    """
    pool = view.pool
    if len(pool) == 0 or pool.features is None or estimate.mix_weight == 0:
        return None
    one_round = params.model_copy(update={"rounds": 1})
    teacher = label_in_rounds(seeds, pool, view.spread, classes, estimate, one_round)[-1].teacher
    return np.stack([teacher.logits(pool, mix_weight).argmax(axis=1) for mix_weight in (0.0, 1.0)])


def cohen_kappa(predictions: np.ndarray) -> float:
    """Agreement of two views beyond chance (Cohen 1960), 0 to 1; agreement below chance counts as 0.

    ``predictions`` is (2, rows), int: class numbers. Two views that give every row the same class agree by chance.
    """
    from sklearn.metrics import cohen_kappa_score

    if len(np.unique(predictions)) == 1:
        return 0.0
    return max(0.0, float(cohen_kappa_score(predictions[0], predictions[1])))


def agreement_z(names_first: np.ndarray, all_seeds: np.ndarray) -> float:
    """By how many standard errors of the difference the views agree on more pool rows in the first predictions.

    ``names_first`` and ``all_seeds`` are (2, rows), int: predictions after a round 1 whose rows class names or all
    seeds chose. No label is needed, so thousands of rows count.
    """
    return mcnemar_z(names_first[0] == names_first[1], all_seeds[0] == all_seeds[1])
