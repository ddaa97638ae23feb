"""What scheduled nights took in: one Parquet file a night, written once and read beside ``ingest.path``.

A file holds rows as they were mapped when they came, so that it stays readable whatever params say later:

| column | meaning |
|---|---|
| `text` | as it was read |
| `label` | as it was given, before `ingest.labels`; null where there is none |
| `split` | `train`, or what the row's own split column said |
| `answers` | the id of the row that an answer or a correction is about, else null |
| `version` | the model version that a correction is about, else null |
| `group.<attr>` | group attributes, binned |
"""

from datetime import datetime, timedelta
from pathlib import Path

import pandas as pd

from pipeline.core.errors import UserError
from pipeline.core.params import Ingest
from pipeline.core.stage import replace
from pipeline.core.table import GROUP, group_columns
from pipeline.sources.clean import reject

NAMED = "%Y-%m-%dT%H-%M-%S"  # what a file is called: its order is the order of arrival
CORRECTIONS = "-feedback"  # at the end of the name of a file of corrections
COLUMNS = ("text", "label", "split", "answers", "version")


def files(folder: Path) -> list[Path]:
    """The files in a folder of arrivals, oldest first; a folder that is not there holds none."""
    return sorted(path for path in folder.glob("*.parquet") if not path.name.startswith("."))


def next_file(folder: Path, now: datetime, corrections: bool = False) -> Path:
    """Where what arrives ``now`` goes: after all that is there, even if the clock was set back."""
    known = files(folder)
    if known:
        last = datetime.strptime(known[-1].stem.removesuffix(CORRECTIONS), NAMED).replace(tzinfo=now.tzinfo)
        now = max(now, last + timedelta(seconds=1))
    return folder / f"{now.strftime(NAMED)}{CORRECTIONS if corrections else ''}.parquet"


def write(rows: pd.DataFrame, path: Path) -> None:
    """Write one file of arrivals, whole or not at all; ``rows`` have the columns of the module's table."""
    names = [*COLUMNS, *group_columns(rows)]
    replace(path, lambda part: rows[names].astype("str").to_parquet(part, index=False))


def read_file(path: Path) -> pd.DataFrame:
    """One file of arrivals; UserError where it is something else."""
    import pyarrow as pa

    try:
        rows = pd.read_parquet(path)
    except (pa.ArrowInvalid, OSError):
        rows = pd.DataFrame()
    if missing := [name for name in COLUMNS if name not in rows.columns]:
        raise UserError(
            f"{path}: expected a file that `gleaner retrain` wrote, found none with {', '.join(missing)}; "
            "move it out of ingest.arrivals"
        )
    return rows


def read(params: Ingest, root: Path) -> pd.DataFrame:
    """All arrivals, oldest first, with the columns of `columns.map_columns`, which names the rest of the rows."""
    attributes = [GROUP + attr for attr in params.columns.groups]
    names = ["split", "file", "row", "raw", "label", "answers", "reason", *attributes]
    tables = []
    for path in files(root / params.arrivals):
        rows = read_file(path).rename(columns={"text": "raw"})
        rows = rows.assign(file=path.name, row=range(1, len(rows) + 1), reason=None)
        tables.append(rows.reindex(columns=names))
    kinds = {name: "int64" if name == "row" else "str" for name in names}
    empty = pd.DataFrame(columns=names)
    return (pd.concat(tables, ignore_index=True) if tables else empty).astype(kinds)


def yield_to_source(rows: pd.DataFrame) -> pd.DataFrame:
    """Reject arrivals that the source itself has come to hold with a label: a database is asked anew for all its rows.

    Answers and corrections are never rejected here: they are about rows of the source. ``rows`` have their ids.
    """
    labelled = rows.loc[~rows["arrived"] & rows["label"].notna() & rows["reason"].isna(), "id"]
    return reject(rows, rows["arrived"] & rows["answers"].isna() & rows["id"].isin(labelled), "exact duplicate")
