"""The gate's rules on abstention: enough test rows have to get a label, and few rows of no class may."""

import pytest

from pipeline.policies.gate import decide_registration
from tests.pipeline.policies.test_gate import FAIR, GOOD, LIMITS, NO_TERMS

LIMIT = LIMITS.model_copy(update={"min_coverage": 0.9})
ABSTAINS = {"method": "graph", "coverage": 0.9}


@pytest.mark.parametrize(
    ("abstention", "status", "sentence"),
    [
        (ABSTAINS, "pass", "90% of the test rows get a label, at least 90% wanted"),
        (ABSTAINS | {"coverage": 0.88}, "fail", "88% of the test rows get a label, at least 90% wanted"),
        ({"method": "none"}, "pass", "the model gives every text a label"),
        ({}, "insufficient", "the share of test rows that get a label was not measured, at least 90% wanted"),
    ],
)
def test_too_few_answers_are_no_pass(abstention, status, sentence):
    verdict = decide_registration(GOOD | {"abstention": abstention}, FAIR, LIMIT, NO_TERMS)
    assert verdict.status == status
    (line,) = [reason for reason in verdict.reasons if "gate.min_coverage" in reason]
    assert sentence in line


@pytest.mark.parametrize(
    ("abstention", "status", "sentence"),
    [
        (
            {"out_of_scope_answered": 0.5, "out_of_scope_rows": 80},
            "pass",
            "50% of 80 rows get a label where",
        ),
        (
            {"out_of_scope_answered": 0.51, "out_of_scope_rows": 80},
            "fail",
            "51% of 80 rows get a label where",
        ),
        (
            {"out_of_scope_answered": 0.1, "out_of_scope_rows": 19},
            "insufficient",
            "allowed; 20 rows needed",
        ),
        ({"out_of_scope_answered": None, "out_of_scope_rows": 0}, "insufficient", "were not measured, at most 50%"),
        ({"method": "none"}, "fail", "the model gives every text a label, at most 50% allowed"),
    ],
)
def test_too_many_answers_to_left_out_classes_are_no_pass(abstention, status, sentence):
    limits = LIMITS.model_copy(update={"max_out_of_scope_answered": 0.5})
    verdict = decide_registration(GOOD | {"abstention": ABSTAINS | abstention}, FAIR, limits, NO_TERMS)
    assert verdict.status == status
    (line,) = [reason for reason in verdict.reasons if "gate.max_out_of_scope_answered" in reason]
    assert sentence in line
