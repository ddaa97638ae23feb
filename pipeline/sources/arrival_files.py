"""The files of ``ingest.arrivals``: rows that scheduled runs took in, one Parquet file a run.

A file is written once and read beside ``ingest.path``. It holds the rows as they were mapped when they came, so later
changes of params do not make it unreadable:

| column | meaning |
|---|---|
| `text` | as it was read |
| `label` | as it was read, before the rules of `ingest.labels`; null if there is none |
| `split` | `train`, or the value of the row's split column |
| `answers` | id of the row that an answer or a correction is about; null for other rows |
| `version` | model version that a correction is about; null for other rows, and where it is unknown |
| `group.<attr>` | group attributes, binned |
"""

from datetime import datetime, timedelta
from pathlib import Path

import pandas as pd

from pipeline.core.errors import UserError
from pipeline.core.params import Ingest
from pipeline.core.printable import print_note
from pipeline.core.rejection_reasons import REPEATED
from pipeline.core.stage import write_atomically
from pipeline.core.table import GROUP_PREFIX, group_columns
from pipeline.sources.cleaning import reject
from pipeline.sources.decoding import escape_invalid

TIME_FORMAT = "%Y-%m-%dT%H-%M-%S"  # of file names: their alphabetical order is the order of arrival
CORRECTIONS_SUFFIX = "-feedback"  # ends the name of a file of corrections
COLUMNS = ("text", "label", "split", "answers", "version")


def list_files(folder: Path) -> list[Path]:
    """The arrival files in a folder, oldest first; an empty list if the folder does not exist.

    Files of other names are not ours: they are left where they are, and left out.
    """
    return sorted(path for path in folder.glob("*.parquet") if is_arrival_name(path.name))


def is_arrival_name(name: str) -> bool:
    """Whether a file name is one that `next_file` gives."""
    try:
        datetime.strptime(name.removesuffix(".parquet").removesuffix(CORRECTIONS_SUFFIX), TIME_FORMAT)
    except ValueError:
        return False
    return True


def report_strays(folder: Path) -> None:
    """Print on stderr the Parquet files in a folder that are no arrivals, and so are not read."""
    for path in sorted(folder.glob("*.parquet")):
        if not (path.name.startswith(".") or is_arrival_name(path.name)):
            print_note(
                f"{folder.name}/{escape_invalid(path.name)}: not read, as `gleaner retrain` did not write it; move it "
                "to refresh.inbox to take it in"
            )


def list_pointers(folder: Path) -> list[Path]:
    """The pointers in a folder, oldest first: with them git holds what DVC tracks, also where the files are missing."""
    return sorted(path for path in folder.glob("*.parquet.dvc") if not path.name.startswith("."))


def require_tracked_files(folder: Path) -> None:
    """Return if each pointer in a folder has its file: without it, as in a fresh clone, its rows would be left out.

    Raises UserError that names the first pointer without a file.
    """
    missing = [path for path in list_pointers(folder) if not path.with_suffix("").exists()]
    if missing:
        file, more = missing[0].with_suffix(""), f" and {len(missing) - 1} more" if len(missing) > 1 else ""
        raise UserError(
            f"{file}: expected the file that its pointer {missing[0].name} names, found none{more}; "
            f"`gleaner run` or `dvc pull {folder.name}/*.dvc` brings it back, `git rm` of the pointer gives its rows up"
        )


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
    except (pa.ArrowException, OSError, ValueError):
        rows = pd.DataFrame()
    if missing := [name for name in COLUMNS if name not in rows.columns]:
        raise UserError(
            f"{path}: expected a file that `gleaner retrain` wrote, found none with {', '.join(missing)}; "
            "move it out of ingest.arrivals"
        )
    return rows


def read_all(params: Ingest, root: Path) -> pd.DataFrame:
    """The rows of all arrival files, oldest first, with the columns that ``columns.map_columns`` returns.

    Raises UserError if a file that DVC tracks is missing.
    """
    attributes = [GROUP_PREFIX + attr for attr in params.columns.groups]
    names = ["split", "file", "row", "raw", "label", "answers", "reason", *attributes]
    require_tracked_files(root / params.arrivals)
    tables = []
    report_strays(root / params.arrivals)
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
    return reject(rows, rows["arrived"] & rows["answers"].isna() & rows["id"].isin(in_source), REPEATED)
