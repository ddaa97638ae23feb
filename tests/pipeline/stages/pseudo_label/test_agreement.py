"""Agreement of the two views beyond chance."""

import numpy as np
import pytest

from pipeline.stages.pseudo_label import agreement


def test_views_that_give_all_rows_one_class_agree_by_chance() -> None:
    constant = np.zeros(50, dtype=int)
    assert agreement.cohen_kappa(np.stack([constant, constant])) == 0
    alternating = np.arange(50) % 2
    mostly_alternating = np.where(np.arange(50) < 10, 1 - alternating, alternating)
    assert agreement.cohen_kappa(np.stack([alternating, alternating])) == 1
    assert agreement.cohen_kappa(np.stack([alternating, 1 - alternating])) == 0
    assert agreement.cohen_kappa(np.stack([alternating, mostly_alternating])) == pytest.approx(0.6)
