"""The gate's rule on abstention: enough test rows have to get a label."""

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
