"""What a penalty on unequal losses of groups needs to know."""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Penalty:
    """How much unequal losses of groups cost, and the group numbers of the training rows, (rows, attributes)."""

    weight: float
    groups: np.ndarray
