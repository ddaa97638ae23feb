"""A case for the policy of promotion with answers that are known: who is right on how many rows of which group."""

import hashlib
from pathlib import Path
from typing import Any

import pandas as pd

from pipeline.core.params import Fairness, Gate, Promotion, read_yaml
from pipeline.policies.promotion import Case, Model, Rows

ROOT = Path(__file__).parents[2]
LABELS = ("delivery", "refund")
KINDS = {"both": (True, True), "challenger": (False, True), "champion": (True, False), "neither": (False, False)}


def limits(**changes: Any) -> tuple[Promotion, Gate, Fairness]:
    """The sections promotion, gate and fairness of the project's params.yaml, with changes to the first two."""
    content = read_yaml(ROOT / "params.yaml")
    for key, value in changes.items():
        content["gate" if key in content["gate"] else "promotion"][key] = value
    promotion, gate = Promotion.model_validate(content["promotion"]), Gate.model_validate(content["gate"])
    return promotion, gate, Fairness.model_validate(content["fairness"])


def case(groups: dict[str, dict[str, int]]) -> Case:
    """``groups``: for each value of the attribute customer, how many rows both, one or neither has right."""
    found: list[dict[str, str]] = []
    for group, kinds in groups.items():
        for kind, number in kinds.items():
            for place in range(number):
                truth, other = LABELS if place % 2 else LABELS[::-1]
                old, new = (truth if right else other for right in KINDS[kind])
                found.append({"label": truth, "champion": old, "challenger": new, "group.customer": group})
    ids = [hashlib.sha256(str(place).encode()).hexdigest()[:16] for place in range(len(found))]
    rows = pd.DataFrame(found).assign(id=ids)
    return Case("gleaner-demo", model("1", "a"), model("2", "b"), rows, about(len(ids)))


def model(version: str, letter: str) -> Model:
    return Model(version, letter * 32, letter * 64, LABELS)


def about(rows: int) -> Rows:
    return Rows(md5="c" * 32, digest="d" * 64, total=rows + 2, compared=rows, left_out=2, unknown_to_champion=0)


def leading(wins: int, losses: int, rows: int = 400) -> Case:
    """A challenger alone right on so many rows, its champion on so many; two groups that are treated alike."""
    half = {"challenger": wins // 2, "champion": losses // 2, "neither": 20}
    rest = {"challenger": wins - wins // 2, "champion": losses - losses // 2, "neither": 20}
    each = rows // 2
    return case({"new": half | {"both": each - sum(half.values())}, "old": rest | {"both": each - sum(rest.values())}})
