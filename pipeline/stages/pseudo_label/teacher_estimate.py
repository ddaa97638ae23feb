"""The estimate of the teachers' temperature, reliability and mix weights from the first teachers' held-out logits."""

import numpy as np

from pipeline.core.params import PseudoLabel
from pipeline.metrics.calibration import fit_temperature
from pipeline.stages.pseudo_label import decisions
from pipeline.stages.pseudo_label.cross_validation import FittedSplit, held_out_logits
from pipeline.stages.pseudo_label.rounds import TeacherEstimate
from pipeline.stages.pseudo_label.scores import adjusted_balanced_accuracy

# Held-out rows that count as much as the prior, which is params' teacher_reliability, a temperature of 1 and a first
# teacher without words. With so many rows both count one half.
PRIOR_ROWS = 10


def estimate_teacher(
    first: list[FittedSplit], truth: np.ndarray, params: PseudoLabel
) -> tuple[TeacherEstimate, np.ndarray]:
    """The estimate from the ``first`` teachers, and their held-out logits, (rows, classes) float32.

    ``truth`` is (rows,), int: the class numbers of the held-out rows. All estimates are shrunk towards a prior, the
    less the more rows there are.

    The first teachers' mix weight is the average of those tried, shrunk towards 0: a few seeds share few words with
    other texts.

    Temperature and reliability are meant for the teachers of later rounds, which learn from far more rows than the
    first ones. The temperature is therefore the square root of the first teachers' temperature. The reliability is
    a ** (1 - a), where a is their adjusted balanced accuracy. That closes more of the gap to 1 the higher a is, because
    rounds improve a good teacher and make a poor one only more confident.
    """
    evidence = len(truth) / (len(truth) + PRIOR_ROWS)
    mix_weights = (0.0, *params.words.mix_weights)
    tried = {mix_weight: held_out_logits(first, 0, mix_weight) for mix_weight in mix_weights}
    first_mix_weight = round(evidence * decisions.average_mix_weight(tried, truth), 4)
    logits = held_out_logits(first, 0, first_mix_weight)
    temperature = fit_temperature(logits, truth) ** (evidence / 2)
    first_skill = adjusted_balanced_accuracy(logits, truth)
    later_skill = first_skill ** (1 - first_skill)
    reliability = evidence * later_skill + (1 - evidence) * params.teacher_reliability
    return TeacherEstimate(temperature, reliability, default_mix_weight(params), first_mix_weight), logits


def default_mix_weight(params: PseudoLabel) -> float:
    """The middle one of the words' mix weights in params, 0 to 1; 0 where params have none."""
    mix_weights = sorted(params.words.mix_weights or [0.0])
    return mix_weights[len(mix_weights) // 2]
