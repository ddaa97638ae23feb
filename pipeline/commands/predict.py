"""Label the rows of a file with a model bundle: CSV, JSON Lines or plain lines in, label and confidence added.

Reads and writes a chunk at a time, so that a file larger than memory works; rows come out in the order of the input.
"""

import csv
import json
import math
import sys
from collections import Counter
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any, TextIO

from pipeline.core.errors import UserError
from pipeline.core.stage import progress
from pipeline.models import classifier
from pipeline.sources.text_rows import Row, TextRows, opened, read, readable

CHUNK = 1000  # rows predicted at once
ADDED = ("label", "confidence")
Answer = tuple[str, float] | None  # label and confidence; None for a row that has a fault


def predict_file(source: str, bundle: Path, text_column: str, out: TextIO) -> None:
    """Write the rows of ``source`` to ``out`` with the columns ``label`` and ``confidence`` (0 to 1) added.

    ``source`` is a path, read by its ending, or ``-`` for standard input, whose format is told from its first line.
    CSV and plain lines come out as CSV, JSON Lines as JSON Lines. A row without a readable text gets an empty label;
    such rows are counted on stderr.

    Raises UserError for a missing file, a missing text column, columns that already have the added names, or a bundle
    that cannot be loaded.
    """
    with opened(source) as stream:
        name = "standard input" if source == "-" else source
        table = read(stream, name, text_column)
        if table.header is not None:
            check_free(table.header, name)
        model = classifier.load(bundle)
        if table.header is not None:
            write_cells(out, table, [[*table.header, *ADDED]])
        faults: Counter[str] = Counter()
        total, first = 0, 0
        for rows in chunks(table.rows, quiet=out.isatty()):  # in a terminal the rows themselves scroll by
            write(out, table, name, rows, predict(model, rows))
            total += len(rows)
            bad = [row for row in rows if row.fault]
            faults.update(str(row.fault) for row in bad)
            first = first or (bad[0].line if bad else 0)
    if faults:
        reasons = ", ".join(f"{count} {fault}" for fault, count in sorted(faults.items()))
        print(f"{faults.total()} of {total} rows got no label: {reasons} (first at line {first})", file=sys.stderr)


def chunks(rows: Iterator[Row], quiet: bool) -> Iterator[list[Row]]:
    """Lists of up to CHUNK rows; with a progress line from the second on, unless ``quiet``."""
    found = iter(lambda: list(islice(rows, CHUNK)), [])
    first = next(found, [])
    if first:
        yield first
    if len(first) == CHUNK:
        yield from found if quiet else progress(found, f"predict, by {CHUNK} rows")


def predict(model: classifier.Classifier, rows: list[Row]) -> list[Answer]:
    """The answer for each row, in the same order."""
    texts = [row.text for row in rows if not row.fault]
    if not texts:
        return [None] * len(rows)
    scores = iter(model.predict(texts))
    return [None if row.fault else best(model.labels, next(scores)) for row in rows]


def best(labels: tuple[str, ...], scores: Any) -> tuple[str, float]:
    """The most probable label and its probability, from one row of scores of shape (classes,)."""
    place = int(scores.argmax())
    return labels[place], round(float(scores[place]), 6)


def write(out: TextIO, table: TextRows, name: str, rows: list[Row], answers: list[Answer]) -> None:
    """Write one chunk, each row with its label and confidence, or with empty ones."""
    if table.header is not None:
        pairs = zip(rows, answers, strict=True)
        write_cells(out, table, [[*row.content, *map(str, answer or ("", ""))] for row, answer in pairs])
    else:
        for row, answer in zip(rows, answers, strict=True):
            check_free(list(row.content), f"{name}:{row.line}")
            added = dict(zip(ADDED, answer or (None, None), strict=True))
            out.write(readable(json.dumps({**row.content, **added}, ensure_ascii=False)) + "\n")
    out.flush()


def write_cells(out: TextIO, table: TextRows, rows: list[list[str]]) -> None:
    """CSV as it came in, each cell made safe for a spreadsheet."""
    writer = csv.writer(out, delimiter=table.delimiter, lineterminator="\n")
    writer.writerows([neutral(readable(cell)) for cell in row] for row in rows)


def neutral(cell: str) -> str:
    """The cell, with an apostrophe before a leading = + - @ or control character: spreadsheets run such cells.

    Finite numbers stay as they are: -1.5 is no formula.
    """
    if not cell.startswith(("=", "+", "-", "@", "\t", "\r")):
        return cell
    try:
        return cell if math.isfinite(float(cell)) else f"'{cell}"
    except ValueError:
        return f"'{cell}"


def check_free(names: list[str], where: str) -> None:
    """The added columns must not overwrite the user's own."""
    taken = [name for name in ADDED if name in names]
    if taken:
        raise UserError(
            f"{where}: expected no {' or '.join(taken)}, which the prediction adds, found it; rename or remove it"
        )
