"""How far the two views of the pool's texts agree: what can be told of the rounds without any label.

Views that err each for itself agree mostly where both are right: the rate of disagreement bounds the error (Dasgupta et
al. 2001). These two have learned some labels from each other, so that their agreement is no bound; it still tells
classes that can be told apart from those that cannot.
"""

import numpy as np

from pipeline.core.params import PseudoLabel
from pipeline.stages.pseudo_label.rounds import TeacherEstimate, label_in_rounds
from pipeline.stages.pseudo_label.scores import margin
from pipeline.stages.pseudo_label.teacher import Seeds
from pipeline.stages.pseudo_label.views import View


def calls(lesson: Seeds, view: View, classes: int, belief: TeacherEstimate, params: PseudoLabel) -> np.ndarray | None:
    """The classes that vectors alone and words alone give each row of the pool after a round 1, (2, pool rows).

    Each round teaches both views the same labels: after the first they have agreed on least. None where there is no
    pool, or one view alone.
    """
    pool = view.pool
    if len(pool) == 0 or pool.features is None or belief.part == 0:
        return None
    one = params.model_copy(update={"rounds": 1})
    teacher = label_in_rounds(lesson, pool, view.spread, classes, belief, one)[-1].teacher
    return np.stack([teacher.logits(pool, part).argmax(axis=1) for part in (0.0, 1.0)])


def kappa(both: np.ndarray) -> float:
    """Agreement of the calls of two views, (2, rows), beyond chance (Cohen 1960): 1 always, 0 no more than by chance.

    Two views that give every row the same class agree by chance.
    """
    from sklearn.metrics import cohen_kappa_score

    if len(np.unique(both)) == 1:
        return 0.0
    return max(0.0, float(cohen_kappa_score(both[0], both[1])))


def ahead(led: np.ndarray, plain: np.ndarray) -> float:
    """By how much more of the pool the views agree in the calls ``led`` than in ``plain``, (2, rows) each.

    In standard errors of the difference: no label is needed, so thousands of rows tell.
    """
    return margin(led[0] == led[1], plain[0] == plain[1])
