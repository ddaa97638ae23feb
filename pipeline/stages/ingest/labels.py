"""Label rules of params: rename, then drop; and the list of labels with their descriptions."""

from collections.abc import Iterable
from typing import Any

import pandas as pd

from pipeline.core.errors import UserError, many
from pipeline.core.params import LabelRules
from pipeline.sources.clean import reject


def apply(rows: pd.DataFrame, rules: LabelRules) -> pd.DataFrame:
    """The rows with labels renamed, and a reason where the label is dropped or missing in a row that needs one.

    Rows of a train file without a label are unlabelled rows. Raises UserError for a label that no row has.
    """
    check("rename", rules.rename, rows["label"])
    rows = rows.assign(label=rows["label"].map(lambda label: rules.rename.get(label, label), na_action="ignore"))
    check("drop", rules.drop, rows["label"])
    rows = reject(rows, rows["label"].isin(rules.drop), "dropped label")
    return reject(rows, rows["label"].isna() & rows["split"].isin(["validation", "test"]), "no label")


def listing(rows: pd.DataFrame, rules: LabelRules) -> dict[str, Any]:
    """The content of labels.json: the sorted labels of all usable rows, and the descriptions that params give.

    Raises UserError where there are fewer than two, or for the description of an unknown one.
    """
    labels = sorted(rows.loc[rows["reason"].isna(), "label"].dropna().unique())
    check("descriptions", rules.descriptions, labels)
    if len(labels) < 2:
        raise UserError(
            f"ingest.columns.label: expected at least 2 labels among the usable rows, found {len(labels)}; "
            "correct the column, ingest.labels or the data"
        )
    return {"labels": labels, "descriptions": {name: rules.descriptions[name] for name in sorted(rules.descriptions)}}


def check(key: str, named: Iterable[str], labels: Iterable[Any]) -> None:
    """Raise UserError for every label that params name and no row has."""
    known = sorted({label for label in labels if isinstance(label, str)})
    unknown = [name for name in named if name not in known]
    if unknown:
        there = ", ".join(known[:20]) + (", …" if len(known) > 20 else "")
        raise many(
            [f'ingest.labels.{key}: expected labels of the data, found "{name}"; there are {there}' for name in unknown]
        )
