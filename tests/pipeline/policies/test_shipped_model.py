"""Which candidate ships, by Brier scores on held-out rows."""

import numpy as np
import pytest

from pipeline.policies.shipped_model import choose_model

NOISE = np.random.default_rng(0).normal(0, 0.1, 50)
NOISE -= NOISE.mean()
EVEN = np.full(50, 0.4)


@pytest.mark.parametrize(
    ("gain", "pseudo_labels", "ships"),
    [
        (0.0, False, "probe"),
        (0.0, True, "teacher_head"),
        (0.02, False, "probe"),
        (0.05, False, "teacher_head"),
        (-0.02, True, "teacher_head"),
        (-0.05, True, "probe"),
    ],
)
def test_only_a_clear_difference_leads_away_from_where_the_comparison_starts(
    gain: float, pseudo_labels: bool, ships: str
) -> None:
    scores = {"probe": EVEN, "teacher_head": EVEN + NOISE - gain}
    assert choose_model(scores, "teacher_head", pseudo_labels, "50 rows").name == ships


def test_of_three_candidates_each_more_complex_one_has_to_beat_the_best_so_far() -> None:
    scores = {"network": EVEN - 0.1 + 0.01 * NOISE, "probe": EVEN, "teacher_head": EVEN - 0.1 + NOISE}
    choice = choose_model(scores, "network", False, "50 validation rows")
    assert choice.name == "teacher_head"
    assert choice.reason.startswith("The teacher on the frozen encoder is chosen")
    assert "clearly better than logistic regression on the untouched encoder on 50 validation rows" in choice.reason
    assert choice.reason.endswith("0.400, the teacher on the frozen encoder 0.300, the fine-tuned network 0.300).")
