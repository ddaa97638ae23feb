"""Whether a challenger takes the champion's place: both models label the same frozen test rows.

decision: decide_promotion, the rules; verdict: the promotion verdict and the layout of promotion.json; rows: the test
rows and the models' answers; comparison: the paired bootstrap; groups: gaps between groups; alpha_spending: the level
of each judgement; reuse_of_test_set: how far a test set is used up; entry: an entry of the promotion log; ledger: who
is champion and who waits for approval, by the promotion log; approval: what a person is told of a version that waits.
"""

from pipeline.policies.promotion.decision import PromotionCase, decide_promotion, limits_in_force
from pipeline.policies.promotion.reuse_of_test_set import share_of_common_rows, sketch_rows
from pipeline.policies.promotion.rows import digest_rows, find_known_rows, predict_labels
from pipeline.policies.promotion.verdict import (
    ComparedModel,
    ComparedRows,
    PromotionStatus,
    PromotionVerdict,
    from_json,
    to_json,
)

__all__ = [
    "ComparedModel",
    "ComparedRows",
    "PromotionCase",
    "PromotionStatus",
    "PromotionVerdict",
    "decide_promotion",
    "digest_rows",
    "find_known_rows",
    "from_json",
    "limits_in_force",
    "predict_labels",
    "share_of_common_rows",
    "sketch_rows",
    "to_json",
]
