"""The format of an input of `predict` and `explain`, and its text column: as given, by the content, or by the ending.

Where the content speaks for two formats, the input is refused, because a header or an id that is classified as a text
shows in no count.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pipeline.core.errors import UserError
from pipeline.sources import delimited, quoting
from pipeline.sources.lookahead import Lookahead
from pipeline.sources.packed import inner_suffix

FORMATS = {
    ".csv": "csv",
    ".tsv": "tsv",
    ".tab": "tsv",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".json": "jsonl",
    ".txt": "lines",
}
NAMES_BY_FORMAT = {"csv": "CSV", "tsv": "TSV", "jsonl": "JSON", "lines": "plain lines"}
# Columns that hold the text in the exports of mailboxes, help desks, surveys, annotation tools and public datasets.
TEXT_NAMES = frozenset(
    "text texts message messages msg body content sentence comment review description question query utterance tweet "
    "post document transcript feedback request note notes verbatim texte mensaje mensagem nachricht messaggio".split()
)
JSON_START = re.compile(r'[\[{]\s*(["\[{]|$)')
PAGE_START = re.compile(r"<(!doctype\b|html\b|\?xml\b)", re.IGNORECASE)
ID = re.compile(r"\S*\d\S*")
DECIMAL = re.compile(r"\d,\d")
SAMPLE_ROWS = 1000  # lines that tell whether they are rows without a header
NUMBER = re.compile(r"[-+\d.,:/% ]+")
FULL_SHARE = 0.9  # of the rows under a header that have as many cells, in a table


@dataclass(frozen=True)
class Choice:
    """What the user says about an input; None where it is to be detected."""

    format: str | None = None  # csv, tsv, jsonl or lines
    text_column: str | None = None
    option: str = "--format"  # by which the user gives the format, for messages


def check_format(choice: Choice) -> None:
    """Raises UserError if the format that the user gave is unknown."""
    if choice.format is not None and choice.format not in NAMES_BY_FORMAT:
        raise UserError(f"{choice.option}: expected one of {', '.join(NAMES_BY_FORMAT)}, found {choice.format}")


def detect_format(lines: Sequence[str], name: str, choice: Choice) -> str:
    """The format that the user gave, or that of the first ``lines``, or that of the file's ending: one of FORMATS.

    Raises UserError if the lines may be a table as well as texts, or if they are a web page.
    """
    first = next((line for line in lines if line.strip()), "").strip()
    if choice.format != "lines" and PAGE_START.match(first):
        raise UserError(
            f"{name}: expected rows or plain lines, found an HTML or XML page; export the data as CSV or JSON, or set "
            f"{choice.option} lines"
        )
    by_ending = FORMATS.get(inner_suffix(Path(name)), "lines")
    if choice.format or by_ending == "jsonl":
        return choice.format or by_ending
    if JSON_START.match(first):
        return "jsonl"
    return by_ending if by_ending != "lines" else detect_table(lines, name, choice)


def detect_table(lines: Sequence[str], name: str, choice: Choice) -> str:
    """The format of lines that are no JSON: csv, tsv or lines.

    Raises UserError if they may be a table as well as texts.
    """
    if delimited.read_separator_line(Lookahead(lines)):
        return "csv"
    for delimiter in delimited.DELIMITERS:
        if is_table(lines, name, delimiter, choice):
            return "tsv" if delimiter == "\t" else "csv"
    if choice.text_column:
        raise UserError(
            f"{name}: expected a column {choice.text_column}, found no header with it; correct --text-column, or name "
            f"the format with {choice.option}"
        )
    if any(are_rows(lines, delimiter) for delimiter in delimited.DELIMITERS):
        raise UserError(
            f"{name}: expected a header with a known text column, or plain lines, found lines of several cells without "
            f"a header, which may be either; add a header, or set {choice.option} lines"
        )
    return "lines"


def are_rows(lines: Sequence[str], delimiter: str) -> bool:
    """Whether lines may be rows without a header: nearly all have several cells, with no blank around the delimiter.

    A tab is hardly in a text. With another delimiter, several rows have the same number of cells, or a cell on the
    outside is an id. People write a blank after a comma.
    """
    if not any(delimiter in line for line in lines[:SAMPLE_ROWS]):
        return False
    dialect = quoting.describe_dialect(lines[:SAMPLE_ROWS], delimiter, 2)
    rows = [row.cells for row in delimited.parse_rows(Lookahead(lines[:SAMPLE_ROWS]), dialect) if not row.is_blank]
    full = [row for row in rows if sum(map(bool, row)) > 1]
    if len(full) < FULL_SHARE * len(rows):
        return False
    numbered = sum(has_id(row[:2], 0, delimiter) or has_id(row[-2:], 1, delimiter) for row in full)
    if delimiter == "\t" or numbered >= FULL_SHARE * len(rows):
        return True
    is_even = len({len(row) for row in full}) == 1 and len(rows) > 1
    return is_even and all(cell == cell.strip() for row in full for cell in row)


def has_id(pair: Sequence[str], place: int, delimiter: str) -> bool:
    """Whether one of two cells, at ``place``, may be an id or a date: no blank beside it, and no decimal comma."""
    beside = pair[1 - place]
    return bool(ID.fullmatch(pair[place])) and beside == beside.strip() and not DECIMAL.search(delimiter.join(pair))


def is_table(lines: Sequence[str], name: str, delimiter: str, choice: Choice) -> bool:
    """Whether lines are rows under a header that has the text column, with this delimiter.

    Raises UserError if they may be rows as well as texts.
    """
    ahead = Lookahead(lines)
    ahead.skip_blank_lines()
    header, _ = delimited.parse_header(ahead, delimiter, ())
    has_text_column = find_text_column(header, choice) is not None
    if len(header) == 1:  # with every delimiter that the line does not hold
        is_alone = has_text_column and header[0].casefold() in {*TEXT_NAMES, (choice.text_column or "").casefold()}
        return is_alone and check_has_rows(lines, name, choice)
    if choice.text_column:
        return has_text_column and check_has_rows(lines, name, choice)
    named = [cell for cell in header if cell]  # the column of pandas' index has no name
    are_names = len(named) == len(set(named)) and all(map(is_name, named))
    is_spaced = any(part != part.strip() for part in next(ahead.following()).rstrip("\r\n").split(delimiter))
    if has_text_column and are_names and not is_spaced:
        return check_has_rows(lines, name, choice)
    may_be_header = has_text_column or (are_names and len(named) > 1 and not is_spaced)
    if may_be_header and is_full(lines, name, delimiter):
        raise UserError(
            f"{name}: expected a table with a known text column, or plain lines, found lines of {len(header)} cells "
            f"each, which may be either; name the column with --text-column, or set {choice.option} lines"
        )
    return False


def is_name(cell: str) -> bool:
    """Whether a cell may be the name of a column: a few words that are no number and end in no full stop."""
    is_short = 0 < len(cell) <= 40 and len(cell.split()) <= 3
    return is_short and not NUMBER.fullmatch(cell) and not cell.endswith((".", "!", "?"))


def check_has_rows(lines: Sequence[str], name: str, choice: Choice) -> bool:
    """True if there are lines under the header. Raises UserError if there is none: it may be a text, then."""
    if sum(bool(line.strip()) for line in lines[:100]) > 1:
        return True
    raise UserError(
        f"{name}: expected rows under a header, or texts, found one line that may be both; name the format with "
        f"{choice.option}"
    )


def is_full(lines: Sequence[str], name: str, delimiter: str) -> bool:
    """Whether nearly all rows under the header, one at least, have as many cells as the header."""
    rows = [row for row in delimited.read_table(lines, name, (), delimiter).rows if not row.is_blank]
    full = sum(not (row.fault or row.is_short) for row in rows)
    return bool(rows) and full >= FULL_SHARE * len(rows)


def find_delimiter(lines: Sequence[str], row_format: str, choice: Choice) -> str:
    """The delimiter of a delimited file: the one whose header has the text column; at a tie, most columns."""
    if row_format == "tsv":
        return "\t"

    def columns_found(delimiter: str) -> tuple[bool, int]:
        ahead = Lookahead(lines)
        ahead.skip_blank_lines()
        header, _ = delimited.parse_header(ahead, delimiter, ())
        return find_text_column(header, choice) is not None and len(header) > 1, len(header)

    return max(delimited.DELIMITERS, key=columns_found)


def find_text_column(columns: Sequence[str], choice: Choice) -> str | None:
    """The column that holds the text: the one that the user names, else ``text``, else the only one of a known name.

    A single column is it in any case, if its name can be one. None if that leaves no column or several.
    """
    if choice.text_column:
        return choice.text_column if choice.text_column in columns else None
    if "text" in columns:
        return "text"
    known = [column for column in columns if column.strip().casefold() in TEXT_NAMES]
    if len(columns) == 1 and is_name(columns[0]):
        return columns[0]
    return known[0] if len(known) == 1 else None
