"""The label rules of params: labels are renamed, joined, then dropped; and the content of labels.json."""

from collections.abc import Iterable
from typing import Any

import pandas as pd

from pipeline.core.errors import UserError, combine_errors
from pipeline.core.params import LabelRules
from pipeline.sources.cleaning import reject
from pipeline.sources.spelling import plain_spelling
from pipeline.sources.value_rules import join_spellings, label_value_rules, rename_values
from pipeline.stages.ingest.quoting import show_name

DROPPED = "dropped label"
NO_LABEL = "no label"


def apply_label_rules(rows: pd.DataFrame, rules: LabelRules) -> pd.DataFrame:
    """The rows with labels renamed and joined, and a reason if one is dropped, or missing in a test or validation row.

    A training row without a label has no reason: it joins the unlabelled pool later. The spelling of arrivals follows
    that of the source. Raises UserError if params name a label that no row has.
    """
    check_labels_exist("rename", rules.rename, rows["label"])
    values = label_value_rules(rules)
    renamed = rename_values(rows["label"], values)
    label = join_spellings(renamed, values, first=renamed[~rows["arrived"]].dropna().unique())
    rows = rows.assign(label=label)
    check_labels_exist("drop", rules.drop, label)
    dropped = {plain_spelling(name) for name in rules.drop}
    is_dropped = label.map(lambda name: name in rules.drop or plain_spelling(name) in dropped, na_action="ignore")
    rows = reject(rows, is_dropped.eq(True) & ~label.isin(rules.keep).eq(True), DROPPED)
    return reject(rows, label.isna() & rows["split"].isin(["validation", "test"]), NO_LABEL)


def label_list(rows: pd.DataFrame, rules: LabelRules) -> dict[str, Any]:
    """The content of labels.json: the sorted labels of all usable rows, and their descriptions of params.

    Raises UserError if there are fewer than two labels, or if params describe a label that no usable row has.
    """
    labels = sorted(rows.loc[rows["reason"].isna(), "label"].dropna().unique())
    check_labels_exist("descriptions", rules.descriptions, labels)
    if len(labels) < 2:
        raise UserError(
            f"ingest.columns.label: expected at least 2 labels among the usable rows, found {len(labels)}; "
            "correct the column, ingest.labels or the data"
        )
    return {"labels": labels, "descriptions": {name: rules.descriptions[name] for name in sorted(rules.descriptions)}}


def check_labels_exist(key: str, names: Iterable[str], labels: Iterable[Any]) -> None:
    """Raises UserError with a line for each of ``names``, the labels in ``ingest.labels.<key>``, not in ``labels``."""
    existing = sorted({label for label in labels if isinstance(label, str)})
    spellings = {*existing, *map(plain_spelling, existing)}
    unknown = [name for name in names if name not in spellings and plain_spelling(name) not in spellings]
    if unknown:
        listed = ", ".join(map(show_name, existing[:20])) + (", …" if len(existing) > 20 else "")
        raise combine_errors(
            [
                f'ingest.labels.{key}: expected labels of the data, found "{name}"; there are {listed}'
                for name in unknown
            ]
        )
