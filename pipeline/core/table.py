"""The row schema that every table between stages has, its validated read and its atomic write."""

import hashlib
import re
import unicodedata
from pathlib import Path

import pandas as pd

from pipeline.core.errors import UserError
from pipeline.core.stage import replace

ORIGINS = ("gold", "class_name", "synonym", "back_translation", "counterfactual", "pseudo", "unlabelled")
COLUMNS = ("id", "source_id", "text", "label", "origin", "weight", "confidence")
GROUP = "group."
UNKNOWN = "unknown"  # rows whose group nobody recorded: shown, but no group that could be treated unfairly
RISKY = re.compile(r"'*[=+\-@\t\r]")  # what a spreadsheet would run, or looks like what was kept from it
REQUIRED = ("id", "source_id", "text", "origin")  # never null


def normalise(text: str) -> str:
    """Unicode NFC, one space between words, none at the ends: two texts that look alike become equal."""
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
    """A table of the schema from its columns; ``groups`` holds ``group.<attr>`` columns in the same order."""
    table = pd.DataFrame({"id": id, "source_id": source_id, "text": text})
    table["label"] = label if label is not None else None
    table["origin"] = origin
    table["weight"] = weight
    table["confidence"] = confidence if confidence is not None else None
    if groups is not None:
        for name in group_columns(groups):
            table[name] = groups[name].to_numpy()
    return cast(table)


def group_columns(table: pd.DataFrame) -> list[str]:
    """Names of the ``group.<attr>`` columns, sorted."""
    return sorted(name for name in table.columns if name.startswith(GROUP))


def cast(table: pd.DataFrame) -> pd.DataFrame:
    """The schema's columns in the schema's order and types, groups last."""
    names = [*COLUMNS, *group_columns(table)]
    kinds = {name: "float64" if name in ("weight", "confidence") else "str" for name in names}
    return table[names].astype(kinds).reset_index(drop=True)


def check(table: pd.DataFrame, path: Path) -> pd.DataFrame:
    """Return the table as it is, or raise UserError that names the file, the fault and the first row id."""
    missing = [name for name in COLUMNS if name not in table.columns]
    extra = [name for name in table.columns if name not in COLUMNS and not name.startswith(GROUP)]
    if missing or extra:
        raise UserError(
            f"{path}: expected the columns {', '.join(COLUMNS)} and group.*; missing {missing}, unknown {extra}; "
            "rerun the stage that writes it"
        )
    faults = {name: table[name].isna() for name in REQUIRED}
    faults["text"] |= table["text"].str.strip().eq("")
    faults["origin"] |= ~table["origin"].isin(ORIGINS)
    faults["weight"] = ~(table["weight"] >= 0)
    faults["confidence"] = table["confidence"].notna() & ~table["confidence"].between(0, 1)
    faults["id"] |= table["id"].duplicated()
    for name, bad in faults.items():
        if bad.any():
            first = table.loc[bad, "id"].iloc[0]
            raise UserError(
                f"{path}: {int(bad.sum())} rows with an impossible {name}, first id {first}; "
                "rerun the stage that writes it"
            )
    return table


def read(path: Path) -> pd.DataFrame:
    """Read and check one table.

    Raises UserError when the file is missing or breaks the schema.
    """
    if not path.exists():
        raise UserError(f"{path}: expected the output of an earlier stage, found no such file; run `dvc repro`")
    return cast(check(pd.read_parquet(path), path))


def write(table: pd.DataFrame, path: Path) -> None:
    """Check and write one table, whole or not at all."""
    table = check(cast(table), path)
    replace(path, lambda part: table.to_parquet(part, index=False))


def write_csv(rows: pd.DataFrame, path: Path, delimiter: str = ",", encoding: str = "utf-8") -> None:
    """Write a CSV file meant for people: an apostrophe goes before text that a spreadsheet would run as a formula.

    It also goes before text that has such an apostrophe already, so that ``as_written`` can take exactly one away.
    """
    safe = rows.map(lambda cell: f"'{cell}" if isinstance(cell, str) and RISKY.match(cell) else cell)
    replace(path, lambda part: safe.to_csv(part, sep=delimiter, encoding=encoding, index=False))


def as_written(cell: str) -> str:
    """A cell of such a file as it was before an apostrophe went in front of it."""
    return cell[1:] if cell.startswith("'") and RISKY.match(cell) else cell


def empty(like: pd.DataFrame) -> pd.DataFrame:
    """A table with the columns of ``like``, group attributes included, and no rows."""
    return like.iloc[:0].copy()
