"""Group attributes as numbers, for weights and penalties alone: no model reads them."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from pipeline.core import table
from pipeline.core.errors import UserError

UNKNOWN = -1


def numbers(tables: Sequence[pd.DataFrame], attributes: Sequence[str]) -> list[np.ndarray]:
    """Group numbers of each table's rows, (rows, attributes), the same for the same group; -1 for an unknown one.

    Without ``attributes`` all that any table has. Raises UserError for one that no row has, and where there is none.
    """
    columns = sorted({name for rows in tables for name in table.group_columns(rows)})
    present = [name.removeprefix(table.GROUP) for name in columns]
    wanted = list(attributes) or present
    missing = [name for name in wanted if name not in present]
    if missing or not wanted:
        raise UserError(
            f"mitigation.attributes: expected group attributes of the training rows ({', '.join(present) or 'none'}), "
            f"found {', '.join(missing) or 'none'}; name them under ingest.columns.groups"
        )
    parts = []
    for name in wanted:
        values = [rows.get(table.GROUP + name, pd.Series(None, index=rows.index, dtype=object)) for rows in tables]
        codes, _ = pd.factorize(pd.concat(values, ignore_index=True), sort=True, use_na_sentinel=True)
        parts.append(codes)
    joined = np.stack(parts, axis=1)
    return np.split(joined, np.cumsum([len(rows) for rows in tables])[:-1])
