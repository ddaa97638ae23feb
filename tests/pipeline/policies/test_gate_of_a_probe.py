"""The gate where the untouched-encoder baseline itself ships: it need not gain over itself."""

from pipeline.policies.gate import decide_registration
from tests.pipeline.policies.test_gate import FAIR, GOOD, LIMITS, NO_TERMS, line


def test_a_probe_that_ships_need_not_gain_over_itself_unless_a_gain_is_wanted():
    metrics = GOOD | {"gain_over_probe": -0.001, "shipped": "probe"}
    verdict = decide_registration(metrics, FAIR, LIMITS, NO_TERMS)
    assert verdict.status == "pass" and line(verdict, "min_gain_over_probe").startswith("not applicable: ")
    wanted = LIMITS.model_copy(update={"min_gain_over_probe": 0.02})
    assert decide_registration(metrics, FAIR, wanted, NO_TERMS).status == "fail"
