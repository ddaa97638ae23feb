"""What every reader returns: the records of one file, query or dataset split, as they were read."""

from dataclasses import dataclass
from typing import Any, NamedTuple

from pipeline.core import annotation_fields
from pipeline.core.params import Columns

SPLITS = ("train", "validation", "test", "unlabelled")


class Record(NamedTuple):
    """One row of a source."""

    row: int  # the line it starts on, from 1; in a table without lines, its number from 1
    cells: dict[str, Any]  # column: value; empty where the record could not be read
    fault: str | None = None  # why it cannot be used
    raw: str = ""  # what was read, where there is a fault: kept with the rejected rows


@dataclass(frozen=True)
class Source:
    """One file, query or dataset split."""

    name: str  # as the user knows it
    split: str  # one of SPLITS
    columns: list[str]  # all columns found, for the message about a missing one
    records: list[Record]
    encoding: str = "utf-8"


def wanted(columns: Columns) -> list[str]:
    """The columns to read where a source has them, each once: those that params name, and the id of an answer."""
    names = [*columns.text, columns.label, columns.split, *columns.groups.values(), annotation_fields.ID]
    return list(dict.fromkeys(name for name in names if name))
