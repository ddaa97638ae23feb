"""The row schema of every table between stages, with a read that checks it and an atomic write."""

import hashlib
import re
import unicodedata
from collections.abc import Iterable, Sequence
from pathlib import Path

import pandas as pd

from pipeline.core.errors import UserError
from pipeline.core.stage import write_atomically

ORIGINS = ("gold", "class_name", "synonym", "back_translation", "counterfactual", "pseudo", "unlabelled")
COLUMNS = ("id", "source_id", "text", "label", "origin", "weight", "confidence")
GROUP_PREFIX = "group."
UNKNOWN_GROUP = "unknown"  # group of rows without a recorded one; it is shown, but left out of gaps
FORMULA_START = re.compile(r"'*[=+\-@\t\r]")  # a formula, or text like one that `write_csv` changed
DTYPES = {"weight": "float64", "confidence": "float64"}  # all others hold text


def normalise(text: str) -> str:
    """The text in Unicode NFC, one space between words, none at the ends: texts that look alike become equal."""
    return " ".join(unicodedata.normalize("NFC", text).split())


def row_id(source: str, text: str) -> str:
    """Hash of source and normalised text, 16 hex digits: stable from run to run and from machine to machine."""
    return hashlib.sha256(f"{source}\0{normalise(text)}".encode()).hexdigest()[:16]


def make(
    *,
    id: list[str],
    source_id: list[str],
    text: list[str],
    label: list[str | None] | None = None,
    origin: str,
    weight: float | list[float] = 1.0,
    confidence: list[float] | None = None,
    groups: pd.DataFrame | None = None,
) -> pd.DataFrame:
    """A table of the schema from its columns; ``groups`` holds ``group.<attr>`` columns, its rows in the same order."""
    table = pd.DataFrame({"id": id, "source_id": source_id, "text": text})
    table["label"] = label if label is not None else None
    table["origin"] = origin
    table["weight"] = weight
    table["confidence"] = confidence if confidence is not None else None
    if groups is not None:
        for name in group_columns(groups):
            table[name] = groups[name].to_numpy()
    return to_schema(table)


def group_columns(table: pd.DataFrame) -> list[str]:
    """Names of the ``group.<attr>`` columns, sorted."""
    return sorted(name for name in table.columns if name.startswith(GROUP_PREFIX))


def to_schema(table: pd.DataFrame) -> pd.DataFrame:
    """The table with the schema's columns only, in the schema's order and types, groups last."""
    names = [*COLUMNS, *group_columns(table)]
    return table[names].astype({name: DTYPES.get(name, "str") for name in names}).reset_index(drop=True)


def check(table: pd.DataFrame, path: Path) -> pd.DataFrame:
    """The table as it is. Raises UserError with the file, the fault and the first row's id if it breaks the schema."""
    check_names(table.columns, path)
    return check_values(table, path)


def check_names(names: Iterable[str], path: Path) -> None:
    """Raises UserError unless these are the names of the schema's columns."""
    given = list(names)
    missing = [name for name in COLUMNS if name not in given]
    extra = [name for name in given if name not in COLUMNS and not name.startswith(GROUP_PREFIX)]
    if missing or extra:
        raise UserError(
            f"{path}: expected the columns {', '.join(COLUMNS)} and group.*; missing {missing}, unknown {extra}; "
            "rerun the stage that writes it"
        )


def check_values(table: pd.DataFrame, path: Path) -> pd.DataFrame:
    """The table, which may lack columns other than ``id``, as it is. Raises UserError for impossible values."""
    tests = {
        "id": lambda column: column.isna() | column.duplicated(),
        "source_id": lambda column: column.isna(),
        "text": lambda column: column.isna() | column.str.strip().eq(""),
        "origin": lambda column: ~column.isin(ORIGINS),
        "weight": lambda column: ~(column >= 0),
        "confidence": lambda column: column.notna() & ~column.between(0, 1),
    }
    for name in [name for name in tests if name in table.columns]:
        bad = tests[name](table[name])
        if bad.any():
            first = table.loc[bad, "id"].iloc[0]
            raise UserError(
                f"{path}: {int(bad.sum())} rows with an impossible {name}, first id {first}; "
                "rerun the stage that writes it"
            )
    return table


def read(path: Path) -> pd.DataFrame:
    """Read and check one table. Raises UserError if the file is missing or breaks the schema."""
    require_file(path)
    return to_schema(check(pd.read_parquet(path), path))


def read_columns(path: Path, columns: Sequence[str]) -> pd.DataFrame:
    """Read and check these columns of one table: a pool of millions of rows takes less memory without the others.

    Raises UserError if the file is missing or breaks the schema.
    """
    import pyarrow.parquet as pq

    require_file(path)
    check_names(pq.read_schema(path).names, path)
    rows = check_values(pd.read_parquet(path, columns=list(dict.fromkeys(["id", *columns]))), path)
    return rows.astype({name: DTYPES.get(name, "str") for name in columns})[list(columns)]


def require_file(path: Path) -> None:
    """Raises UserError if there is no such file."""
    if not path.exists():
        raise UserError(f"{path}: expected the output of an earlier stage, found no such file; run `dvc repro`")


def write(table: pd.DataFrame, path: Path) -> None:
    """Check and write one table, whole or not at all. Raises UserError if it breaks the schema."""
    table = check(to_schema(table), path)
    write_atomically(path, lambda part: table.to_parquet(part, index=False))


def write_csv(rows: pd.DataFrame, path: Path, delimiter: str = ",", encoding: str = "utf-8") -> None:
    """Write a CSV file for people, with an apostrophe before text that a spreadsheet would run as a formula.

    Text that starts with such an apostrophe gets another one, so that `strip_apostrophe` restores it exactly.
    """
    safe = rows.map(lambda cell: f"'{cell}" if isinstance(cell, str) and FORMULA_START.match(cell) else cell)
    write_atomically(path, lambda part: safe.to_csv(part, sep=delimiter, encoding=encoding, index=False))


def strip_apostrophe(cell: str) -> str:
    """A cell of such a file without the apostrophe that `write_csv` put before it."""
    return cell[1:] if cell.startswith("'") and FORMULA_START.match(cell) else cell


def empty_like(table: pd.DataFrame) -> pd.DataFrame:
    """A table with the columns of ``table``, group attributes included, and no rows."""
    return table.iloc[:0].copy()
