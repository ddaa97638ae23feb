"""A promotion case with known answers: which model is right on how many rows of which group."""

import hashlib
from pathlib import Path
from typing import Any

import pandas as pd

from pipeline.core.params import Fairness, Gate, Promotion, read_yaml
from pipeline.policies.promotion import ComparedModel, ComparedRows, PromotionCase

ROOT = Path(__file__).parents[2]
LABELS = ("delivery", "refund")
IS_RIGHT = {  # outcome: whether champion and challenger are right
    "both": (True, True),
    "challenger": (False, True),
    "champion": (True, False),
    "neither": (False, False),
}


def limits(**changes: Any) -> tuple[Promotion, Gate, Fairness]:
    """The sections promotion, gate and fairness of the project's params.yaml, with changes to the first two."""
    content = read_yaml(ROOT / "params.yaml")
    for key, value in changes.items():
        content["gate" if key in content["gate"] else "promotion"][key] = value
    promotion, gate = Promotion.model_validate(content["promotion"]), Gate.model_validate(content["gate"])
    return promotion, gate, Fairness.model_validate(content["fairness"])


def case(groups: dict[str, dict[str, int]]) -> PromotionCase:
    """A case with these rows; ``groups`` has the number of rows of each outcome for each value of ``customer``."""
    answers: list[dict[str, str]] = []
    for group, outcomes in groups.items():
        for outcome, rows in outcomes.items():
            for row in range(rows):
                truth, wrong = LABELS if row % 2 else LABELS[::-1]
                champion, challenger = (truth if is_right else wrong for is_right in IS_RIGHT[outcome])
                labels = {"label": truth, "champion": champion, "challenger": challenger}
                answers.append(labels | {"group.customer": group})
    ids = [hashlib.sha256(str(row).encode()).hexdigest()[:16] for row in range(len(answers))]
    table = pd.DataFrame(answers).assign(id=ids)
    return PromotionCase("gleaner-demo", model("1", "a"), model("2", "b"), table, compared_rows(len(ids)))


def model(version: str, letter: str) -> ComparedModel:
    """A version whose digests consist of one letter."""
    return ComparedModel(version, letter * 32, letter * 64, LABELS)


def compared_rows(rows: int) -> ComparedRows:
    """So many compared rows, and two more that are left out."""
    return ComparedRows(md5="c" * 32, digest="d" * 64, total=rows + 2, compared=rows, left_out=2, unknown_to_champion=0)


def leading(wins: int, losses: int, rows: int = 400) -> PromotionCase:
    """A case in which only the challenger is right on ``wins`` rows, only the champion on ``losses``.

    The rows are in two groups of the same size and with nearly the same outcomes.
    """
    half = {"challenger": wins // 2, "champion": losses // 2, "neither": 20}
    rest = {"challenger": wins - wins // 2, "champion": losses - losses // 2, "neither": 20}
    each = rows // 2
    return case({"new": half | {"both": each - sum(half.values())}, "old": rest | {"both": each - sum(rest.values())}})
