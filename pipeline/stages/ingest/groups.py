"""The rules of params for the values of group attributes: missing ones, renamed ones, spellings that are one."""

import pandas as pd

from pipeline.core.errors import UserError
from pipeline.core.params import Ingest
from pipeline.core.table import GROUP_PREFIX
from pipeline.sources.value_rules import group_value_rules, join_spellings, rename_values


def apply_group_rules(rows: pd.DataFrame, params: Ingest) -> pd.DataFrame:
    """The rows with group values renamed and joined, null where a value means "missing".

    The spelling of arrivals follows that of the source. Raises UserError if ``ingest.group_values`` names an attribute
    that ``ingest.columns.groups`` does not have.
    """
    check_attributes_exist(params)
    for attribute in params.columns.groups:
        name, rules = GROUP_PREFIX + attribute, group_value_rules(params.group_values, attribute)
        renamed = rename_values(rows[name], rules)
        of_source = renamed[~rows["arrived"]].dropna().unique()
        rows = rows.assign(**{name: join_spellings(renamed, rules, first=of_source)})
    return rows


def check_attributes_exist(params: Ingest) -> None:
    """Raises UserError if ``ingest.group_values`` names an unknown attribute."""
    for key in ("rename", "missing", "keep"):
        for attribute in getattr(params.group_values, key):
            if attribute not in params.columns.groups:
                known = ", ".join(params.columns.groups) or "none"
                raise UserError(
                    f"ingest.group_values.{key}.{attribute}: expected an attribute of ingest.columns.groups, found "
                    f"{known}; correct the name"
                )
