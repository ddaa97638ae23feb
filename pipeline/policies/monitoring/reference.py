"""What a version's training left to compare its traffic with."""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class MeasuredAnswers:
    """The version's answers to its test rows, which no training saw; accuracy and confidence of those with a label."""

    accuracy: float  # 0 to 1
    confidence: float  # mean of the calibrated confidence, 0 to 1
    error: float  # standard error of accuracy less confidence
    margins: np.ndarray  # (rows,) float64, 0 to 1: between the two most probable labels, of all test rows
    refused: int = 0  # test rows that got no label


@dataclass(frozen=True)
class TrainingReference:
    """What is known of a version's training; None where it is not to be had, and then ``absence`` says why."""

    vectors: np.ndarray | None = None  # (rows, width) float32: of the texts that it learned from, a sample of them
    labels: np.ndarray | None = None  # (rows,) object: its answers to them, NO_LABEL where it abstains
    tested: MeasuredAnswers | None = None
    absence: str = ""
