"""The settings of the penalty on differences between the losses of groups."""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Penalty:
    """How much differences between the losses of groups cost, and the group codes of the training rows."""

    weight: float
    groups: np.ndarray  # (training rows, attributes), int; -1 where a group is unknown
