"""Label the rows of a file with a model bundle: CSV, JSON or plain lines in; label, confidence and version added.

A bundle that abstains adds a reason, too, for the rows that get no label.

Reads and writes one chunk at a time, so that a file larger than memory works. Rows keep the order of the input.
"""

import csv
import json
import math
from collections import Counter
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field, replace
from itertools import chain, islice
from pathlib import Path
from typing import TextIO

from pipeline.commands.score import Score
from pipeline.commands.served_bundle import ServedBundle
from pipeline.core.errors import UserError
from pipeline.core.printable import print_note
from pipeline.core.stage import progress
from pipeline.models import classifier, cluster_answers
from pipeline.models.answers import UNLIKE_EVERY_CLASS
from pipeline.sources.text_format import Choice, check_format
from pipeline.sources.text_rows import Row, TextRows, read_rows, replace_invalid
from pipeline.sources.text_stream import open_lines, source_name

CHUNK_ROWS = 1000  # rows predicted at once: enough for full batches, few enough for any memory
CLUSTER_ROWS = 50_000  # the same for a cluster, whose workers open the model for each chunk
ADDED_COLUMNS = ("label", "confidence", "version")
ABSTAINING_COLUMNS = ("label", "confidence", "reason", "version")  # of a bundle that may give no label
TAKEN_SUFFIX = "_predicted"  # of an added name that the input has, too
FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")  # spreadsheets run cells that start with these
Prediction = classifier.Answer | None  # None for a row that has a fault


@dataclass(frozen=True)
class Request:
    """What to label, with which model, and what to do beside it."""

    source: str  # a path, or - for standard input
    served: ServedBundle
    choice: Choice  # how to read the source
    score: bool = False  # compare the answers with the labels of the input
    label_column: str = "label"  # with these labels
    root: Path | None = None  # the project whose params say where answers are computed; None: here


@dataclass
class Faults:
    """The rows that got no label."""

    rows: int = 0
    first_line: int = 0
    reasons: Counter[str] = field(default_factory=Counter)
    abstained: int = 0  # rows of which the model says that they are unlike every class

    def add(self, rows: list[Row], predictions: list[Prediction]) -> None:
        """Count the rows of one chunk."""
        faulty = [row for row in rows if row.fault]
        self.rows += len(rows)
        self.abstained += sum(answer is not None and answer.abstained for answer in predictions)
        self.reasons.update(str(row.fault) for row in faulty)
        self.first_line = self.first_line or (faulty[0].line if faulty else 0)

    def note(self) -> str:
        """A line about each kind; empty if there are none."""
        return "\n".join(filter(None, [self.fault_note(), self.abstention_note()]))

    def abstention_note(self) -> str:
        """One line about the rows that are unlike every class; empty if there are none."""
        return f"{self.abstained} of {self.rows} rows got no label: {UNLIKE_EVERY_CLASS}" if self.abstained else ""

    def fault_note(self) -> str:
        """One line about the rows that could not be read; empty if there are none."""
        if not self.reasons:
            return ""
        reasons = ", ".join(f"{count} {fault}" for fault, count in sorted(self.reasons.items()))
        return f"{self.reasons.total()} of {self.rows} rows got no label: {reasons} (first at line {self.first_line})"


def predict_file(request: Request, out: TextIO) -> None:
    """Write the rows of the source to ``out`` with ``label``, ``confidence`` (0 to 1) and ``version`` added.

    A bundle that abstains adds ``reason`` between the last two: why a row got no label.

    Whose answers these are and how the source is read is printed on stderr. CSV and plain lines come out as CSV, JSON
    as JSON Lines. A row without a readable text gets an empty label; such rows are counted on stderr. What the input
    has under an added name stays, and the answer gets another name: ``label_predicted``.

    Raises UserError for a missing file, a format that cannot be told, a missing text column, no label to score against,
    columns that already have both names, or a bundle that cannot be loaded.
    """
    check_format(request.choice)
    with open_lines(request.source, request.choice) as lines:
        name = source_name(request.source)
        table = read_rows(lines, name, request.choice)
        many = cluster_answers.computes_elsewhere(request.root)
        chunks = read_chunks(
            table.rows, CLUSTER_ROWS if many else CHUNK_ROWS, quiet=out.isatty()
        )  # in a terminal the rows themselves show the progress
        first = next(chunks, [])
        existing = table.header if table.header is not None else {key for row in first for key in row.content}
        if request.score and request.label_column not in existing:
            raise UserError(
                f"{name}: expected the column {request.label_column} with the right labels, found none; name it with "
                "--label-column"
            )
        # The batches are those of one process: with int8, a text's score depends on the texts beside it.
        model = replace(cluster_answers.load(request.served.folder, request.root), texts_at_once=CHUNK_ROWS)
        columns = ADDED_COLUMNS if model.abstention is None else ABSTAINING_COLUMNS
        added = added_names(existing, name, columns)
        for note in filter(None, [request.served.note, f"{name}: read as {table.reading}"]):
            print_note(note)
        if table.header is not None:
            write_csv(out, table, [[*table.header, *added]])
        faults = Faults()
        score = Score(model.labels, request.label_column, table.header) if request.score else None
        for rows in chain([first], chunks):
            predictions = predict_rows(model, rows)
            cells = [cells_of(answer, columns, request.served.version) for answer in predictions]
            write_chunk(out, table, name, rows, cells, added)
            faults.add(rows, predictions)
            if score is not None:
                score.add(rows, predictions)
    for note in filter(None, [faults.note(), score.note() if score is not None else ""]):
        print_note(note)


def read_chunks(rows: Iterator[Row], size: int, quiet: bool) -> Iterator[list[Row]]:
    """Lists of up to ``size`` rows; with a progress line from the second on, unless ``quiet``."""
    chunks = iter(lambda: list(islice(rows, size)), [])
    first = next(chunks, [])
    if first:
        yield first
    if len(first) == size:
        yield from chunks if quiet else progress(chunks, f"predict, by {size} rows")


def predict_rows(model: classifier.Classifier, rows: list[Row]) -> list[Prediction]:
    """The prediction for each row, in the same order."""
    texts = [row.text for row in rows if not row.fault]
    if not texts:
        return [None] * len(rows)
    answers = iter(model.answers(texts))
    return [None if row.fault else next(answers) for row in rows]


def cells_of(answer: Prediction, columns: tuple[str, ...], version: str | None) -> tuple[str | float | None, ...]:
    """The values of the ``columns`` for one row; None where there is none."""
    values: dict[str, str | float | None] = {"version": version}
    if answer is not None:
        values |= {"label": answer.label, "confidence": round(answer.confidence, 6), "reason": answer.reason}
    return tuple(values.get(name) for name in columns)


def write_chunk(
    out: TextIO,
    table: TextRows,
    name: str,
    rows: list[Row],
    answers: list[tuple[str | float | None, ...]],
    added: tuple[str, ...],
) -> None:
    """Write one chunk, each row with its answer under the names ``added``.

    Raises UserError for a JSON line that has a key of an added name, which the lines before it lacked.
    """
    pairs = zip(rows, answers, strict=True)
    if table.header is not None:
        cells = [[*row.content, *("" if value is None else str(value) for value in answer)] for row, answer in pairs]
        write_csv(out, table, cells)
    else:
        for row, answer in pairs:
            if taken := [key for key in added if key in row.content]:
                raise UserError(
                    f"{name}:{row.line}: expected no {' or '.join(taken)}, which the prediction adds and the rows "
                    "before do not have, found it; rename or remove it"
                )
            content = row.content | dict(zip(added, answer, strict=True))
            out.write(replace_invalid(json.dumps(content, ensure_ascii=False)) + "\n")
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


def added_names(existing: Collection[str], where: str, columns: tuple[str, ...]) -> tuple[str, ...]:
    """The names of the added ``columns``, with a suffix where the input has a column of that name.

    Raises UserError if it has a column of the longer name, too.
    """
    names = tuple(f"{name}{TAKEN_SUFFIX}" if name in existing else name for name in columns)
    if taken := [name for name in names if name in existing]:
        raise UserError(
            f"{where}: expected no {' or '.join(taken)}, which the prediction adds, found it; rename or remove it"
        )
    return names
