"""What every reader returns: the records of one file, query or dataset split, as they were read."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, NamedTuple

from pipeline.core import annotation_fields
from pipeline.core.params import Columns

SPLITS = ("train", "validation", "test", "unlabelled")


class Record(NamedTuple):
    """One row of a source."""

    row: int  # number of its first line, from 1; in a source without lines, number of the row, from 1
    cells: dict[str, Any]  # value by column name; empty if the record could not be read
    fault: str | None = None  # why the record cannot be used; None if it can
    raw: str = ""  # the raw content of a record with a fault, kept with the rejected rows


@dataclass(frozen=True)
class Source:
    """One file, query or dataset split."""

    name: str  # as the user knows it: a path below ingest.path, or a key such as ingest.train[0]
    split: str  # one of SPLITS
    columns: list[str]  # every column; of JSON Lines that are streamed, those of the records so far
    records: Iterable[Record]  # a list, or read as they are iterated, once
    encoding: str = "utf-8"


def columns_to_read(columns: Columns) -> list[str]:
    """Names of the columns that ingest reads, each once: those that params name, and the id of an answer."""
    names = [*columns.text, columns.label, columns.split, *columns.groups.values(), annotation_fields.ID]
    return list(dict.fromkeys(name for name in names if name))
