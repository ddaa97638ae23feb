"""Whether a challenger takes the champion's place: both answer the same frozen test rows.

rows: what is asked; comparison: the paired bootstrap; groups: gaps between groups; wear: how far a test set is used up;
judge: the policy; verdict: the layout of promotion.json; ledger: who is champion, by the promotion log.
"""

from pipeline.policies.promotion.alpha_spending import shared, sketch
from pipeline.policies.promotion.judge import Case, in_force, judge
from pipeline.policies.promotion.rows import answers, digest, seen
from pipeline.policies.promotion.verdict import Model, Rows, Status, Verdict, from_json, to_json

__all__ = [
    "Case",
    "Model",
    "Rows",
    "Status",
    "Verdict",
    "answers",
    "digest",
    "from_json",
    "in_force",
    "judge",
    "seen",
    "shared",
    "sketch",
    "to_json",
]
