"""The files of ``ingest.arrivals``: rows that scheduled runs took in, one Parquet file a run.

A file is written once and read beside ``ingest.path``. It holds the rows as they were mapped when they came, so later
changes of params do not make it unreadable:

| column | meaning |
|---|---|
| `text` | as it was read |
| `label` | as it was read, before the rules of `ingest.labels`; null if there is none |
| `split` | `train`, or the value of the row's split column |
| `answers` | id of the row that an answer or a correction is about; null for other rows |
| `version` | model version that a correction is about; null for other rows |
| `group.<attr>` | group attributes, binned |
"""

from datetime import datetime, timedelta
from pathlib import Path

import pandas as pd

from pipeline.core.errors import UserError
from pipeline.core.params import Ingest
from pipeline.core.stage import write_atomically
from pipeline.core.table import GROUP_PREFIX, group_columns
from pipeline.sources.cleaning import reject

TIME_FORMAT = "%Y-%m-%dT%H-%M-%S"  # of file names: their alphabetical order is the order of arrival
CORRECTIONS_SUFFIX = "-feedback"  # ends the name of a file of corrections
COLUMNS = ("text", "label", "split", "answers", "version")


def list_files(folder: Path) -> list[Path]:
    """The arrival files in a folder, oldest first; an empty list if the folder does not exist."""
    return sorted(path for path in folder.glob("*.parquet") if not path.name.startswith("."))


def next_file(folder: Path, now: datetime, corrections: bool = False) -> Path:
    """Path for the rows that arrive ``now``; it sorts after all files in ``folder``, even if the clock was set back.

    A file that is missing counts if DVC tracks it: its name stays taken until its pointer is withdrawn, too.
    """
    names = [path.name for path in folder.glob("*.parquet*") if not path.name.startswith(".")]
    times = [time for name in names if (time := arrival_time(name)) is not None]
    if times:
        now = max(now, max(times).replace(tzinfo=now.tzinfo) + timedelta(seconds=1))
    return folder / f"{now.strftime(TIME_FORMAT)}{CORRECTIONS_SUFFIX if corrections else ''}.parquet"


def arrival_time(name: str) -> datetime | None:
    """The time in the name of an arrival file or its pointer, without a zone; None if the name has another form.

    A name of the year 9999 has another form: no later one could follow it.
    """
    stem = name.removesuffix(".dvc").removesuffix(".parquet").removesuffix(CORRECTIONS_SUFFIX)
    try:
        time = datetime.strptime(stem, TIME_FORMAT)
    except ValueError:
        return None
    return time if time.year < datetime.max.year else None


def write(rows: pd.DataFrame, path: Path) -> None:
    """Write one arrival file, whole or not at all; ``rows`` have the columns of the table above."""
    names = [*COLUMNS, *group_columns(rows)]
    write_atomically(path, lambda part: rows[names].astype("str").to_parquet(part, index=False))


def remove_unfinished(folder: Path) -> None:
    """Remove what a process that was killed had begun to write. Call it where no other process writes arrivals.

    Such a file holds texts, git does not ignore it, and for DVC it would be a part of the folder that ingest reads.
    """
    for part in folder.glob(".*.parquet.*.part"):
        part.unlink()


def read_file(path: Path) -> pd.DataFrame:
    """The rows of one arrival file. Raises UserError if the file is not one."""
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


def read_all(params: Ingest, root: Path) -> pd.DataFrame:
    """The rows of all arrival files, oldest first, with the columns that ``columns.map_columns`` returns."""
    attributes = [GROUP_PREFIX + attr for attr in params.columns.groups]
    names = ["split", "file", "row", "raw", "label", "answers", "reason", *attributes]
    tables = []
    for path in list_files(root / params.arrivals):
        rows = read_file(path).rename(columns={"text": "raw"})
        rows = rows.assign(file=path.name, row=range(1, len(rows) + 1), reason=None)
        tables.append(rows.reindex(columns=names))
    dtypes = {name: "int64" if name == "row" else "str" for name in names}
    empty = pd.DataFrame(columns=names)
    return (pd.concat(tables, ignore_index=True) if tables else empty).astype(dtypes)


def reject_known_arrivals(rows: pd.DataFrame) -> pd.DataFrame:
    """The rows, with a reason for each arrival that the source itself now holds with a label.

    A database is read anew in every run, so it may have gained a row that arrived earlier. Answers and corrections are
    kept: they are about rows of the source. ``rows`` already have their ids.
    """
    in_source = rows.loc[~rows["arrived"] & rows["label"].notna() & rows["reason"].isna(), "id"]
    return reject(rows, rows["arrived"] & rows["answers"].isna() & rows["id"].isin(in_source), "exact duplicate")
