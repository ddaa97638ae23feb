"""Label the rows of a file with a model bundle: CSV, JSON or plain lines in, label and confidence added.

Reads and writes one chunk at a time, so that a file larger than memory works. Rows keep the order of the input.
"""

import csv
import json
import math
from collections import Counter
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any, TextIO

from pipeline.core.errors import UserError
from pipeline.core.printable import print_note
from pipeline.core.stage import progress
from pipeline.models import classifier
from pipeline.sources.text_format import Choice, check_format
from pipeline.sources.text_rows import Row, TextRows, read_rows, replace_invalid
from pipeline.sources.text_stream import open_lines, source_name

CHUNK_ROWS = 1000  # rows predicted at once: enough for full batches, few enough for any memory
ADDED_COLUMNS = ("label", "confidence")
FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")  # spreadsheets run cells that start with these
Prediction = tuple[str, float] | None  # label and confidence; None for a row that has a fault


def predict_file(source: str, bundle: Path, choice: Choice, out: TextIO) -> None:
    """Write the rows of ``source`` to ``out`` with the columns ``label`` and ``confidence`` (0 to 1) added.

    ``source`` is a path, or ``-`` for standard input. How it is read is printed on stderr. CSV and plain lines come out
    as CSV, JSON as JSON Lines. A row without a readable text gets an empty label; such rows are counted on stderr.

    Raises UserError for a missing file, a format that cannot be told, a missing text column, columns that already have
    the added names, or a bundle that cannot be loaded.
    """
    check_format(choice)
    with open_lines(source, choice) as lines:
        name = source_name(source)
        table = read_rows(lines, name, choice)
        if table.header is not None:
            check_added_columns(table.header, name)
        model = classifier.load(bundle)
        print_note(f"{name}: read as {table.reading}")
        if table.header is not None:
            write_csv(out, table, [[*table.header, *ADDED_COLUMNS]])
        faults: Counter[str] = Counter()
        total, first_line = 0, 0
        for rows in read_chunks(table.rows, quiet=out.isatty()):  # in a terminal the rows themselves show the progress
            write_chunk(out, table, name, rows, predict_rows(model, rows))
            total += len(rows)
            faulty = [row for row in rows if row.fault]
            faults.update(str(row.fault) for row in faulty)
            first_line = first_line or (faulty[0].line if faulty else 0)
    if faults:
        reasons = ", ".join(f"{count} {fault}" for fault, count in sorted(faults.items()))
        message = f"{faults.total()} of {total} rows got no label: {reasons} (first at line {first_line})"
        print_note(message)


def read_chunks(rows: Iterator[Row], quiet: bool) -> Iterator[list[Row]]:
    """Lists of up to CHUNK_ROWS rows; with a progress line from the second on, unless ``quiet``."""
    chunks = iter(lambda: list(islice(rows, CHUNK_ROWS)), [])
    first = next(chunks, [])
    if first:
        yield first
    if len(first) == CHUNK_ROWS:
        yield from chunks if quiet else progress(chunks, f"predict, by {CHUNK_ROWS} rows")


def predict_rows(model: classifier.Classifier, rows: list[Row]) -> list[Prediction]:
    """The prediction for each row, in the same order."""
    texts = [row.text for row in rows if not row.fault]
    if not texts:
        return [None] * len(rows)
    probabilities = iter(model.predict(texts))
    return [None if row.fault else top_label(model.labels, next(probabilities)) for row in rows]


def top_label(labels: tuple[str, ...], probabilities: Any) -> tuple[str, float]:
    """The most probable label and its probability; ``probabilities`` (classes,), float32, 0 to 1, are of one row."""
    best = int(probabilities.argmax())
    return labels[best], round(float(probabilities[best]), 6)


def write_chunk(out: TextIO, table: TextRows, name: str, rows: list[Row], predictions: list[Prediction]) -> None:
    """Write one chunk, each row with its label and confidence, or with empty ones.

    Raises UserError for a JSON line that has a key of an added name.
    """
    pairs = zip(rows, predictions, strict=True)
    if table.header is not None:
        write_csv(out, table, [[*row.content, *map(str, prediction or ("", ""))] for row, prediction in pairs])
    else:
        for row, prediction in pairs:
            check_added_columns(list(row.content), f"{name}:{row.line}")
            added = dict(zip(ADDED_COLUMNS, prediction or (None, None), strict=True))
            out.write(replace_invalid(json.dumps({**row.content, **added}, ensure_ascii=False)) + "\n")
    out.flush()


def write_csv(out: TextIO, table: TextRows, rows: list[list[str]]) -> None:
    """Write rows of cells with the delimiter of the input, each cell made safe for a spreadsheet."""
    writer = csv.writer(out, delimiter=table.delimiter, lineterminator="\n")
    quoting_writer = csv.writer(out, delimiter=table.delimiter, lineterminator="\n", quoting=csv.QUOTE_ALL)
    for row in rows:
        cells = [neutralise_cell(replace_invalid(cell)) for cell in row]
        has_cr = any("\r" in cell for cell in cells)  # for which Python 3.11 sets no quotes
        (quoting_writer if has_cr else writer).writerow(cells)


def neutralise_cell(cell: str) -> str:
    """The cell, with an apostrophe in front where a spreadsheet would run it as a formula.

    Finite numbers stay as they are: -1.5 is no formula.
    """
    if not cell.startswith(FORMULA_STARTS):
        return cell
    try:
        return cell if math.isfinite(float(cell)) else f"'{cell}"
    except ValueError:
        return f"'{cell}"


def check_added_columns(names: list[str], where: str) -> None:
    """Raises UserError if the input has a column of an added name, because it would be overwritten."""
    existing = [name for name in ADDED_COLUMNS if name in names]
    if existing:
        raise UserError(
            f"{where}: expected no {' or '.join(existing)}, which the prediction adds, found it; rename or remove it"
        )
