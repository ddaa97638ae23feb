"""The policy of promotion: what is told apart, what cannot be told, and what a test set has left."""

import json
from pathlib import Path

import numpy as np
import pytest
from judging import ROOT, case, leading, limits

from pipeline import statistics
from pipeline.promotion import Verdict, comparison, from_json, judge, shared, sketch, to_json, wear
from pipeline.table import row_id

EXAMPLE = Path(__file__).parent / "promotion_example.json"


def verdict(wins: int, losses: int, judgement: int = 1, rows: int = 400, **changes: object) -> Verdict:
    return judge(leading(wins, losses, rows), judgement, *limits(**changes))


def line(found: Verdict, rule: str) -> str:
    (one,) = [reason for reason in found.reasons if f": {rule}" in reason]
    return one


def test_a_challenger_that_is_clearly_better_is_promoted() -> None:
    found = verdict(30, 6)
    assert found.status == "promote" and {one.split(":")[0] for one in found.reasons} == {"pass"}
    assert found.lead.difference == pytest.approx(24 / 400) and 0 < found.lead.low < found.lead.difference


def test_the_layout_of_promotion_json_is_that_of_the_example() -> None:
    groups = {
        "business": {"both": 110, "challenger": 14, "champion": 4, "neither": 6},
        "private": {"both": 230, "challenger": 20, "champion": 8, "neither": 8},
    }
    found = to_json(judge(case(groups), 3, *limits()))
    assert json.loads(json.dumps(found)) == json.loads(EXAMPLE.read_text())
    assert to_json(from_json(json.loads(EXAMPLE.read_text()))) == found
