"""Group attributes as codes, used for weights and penalties only: no model reads them."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from pipeline.core import table
from pipeline.core.errors import UserError

UNKNOWN = -1


def encode_groups(tables: Sequence[pd.DataFrame], attributes: Sequence[str]) -> list[np.ndarray]:
    """The group codes of each table's rows, (rows, attributes), int64: 0 and up, -1 where the group is unknown.

    A group has the same code in all tables. Without ``attributes``, all attributes of the tables are encoded. Raises
    UserError for an attribute that no table has, and where the tables have none at all.
    """
    columns = sorted({name for rows in tables for name in table.group_columns(rows)})
    present = [name.removeprefix(table.GROUP_PREFIX) for name in columns]
    wanted = list(attributes) or present
    missing = [name for name in wanted if name not in present]
    if missing or not wanted:
        raise UserError(
            f"mitigation.attributes: expected group attributes of the training rows ({', '.join(present) or 'none'}), "
            f"found {', '.join(missing) or 'none'}; name them under ingest.columns.groups"
        )
    codes_by_attribute = []
    for name in wanted:
        column = table.GROUP_PREFIX + name
        groups = [rows.get(column, pd.Series(None, index=rows.index, dtype=object)) for rows in tables]
        codes, _ = pd.factorize(pd.concat(groups, ignore_index=True), sort=True, use_na_sentinel=True)
        codes_by_attribute.append(codes)
    codes = np.stack(codes_by_attribute, axis=1)
    return np.split(codes, np.cumsum([len(rows) for rows in tables])[:-1])
