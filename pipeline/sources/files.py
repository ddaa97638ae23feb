"""Files below ``ingest.path`` to records: CSV, TSV, JSON, Parquet, Label Studio's export; also in gzip or zstd."""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

from pipeline.core.errors import UserError
from pipeline.core.params import Ingest
from pipeline.core.printable import print_note
from pipeline.sources import delimited, json_rows, label_studio, parquet
from pipeline.sources.decoding import escape_invalid
from pipeline.sources.limits import MAX_ROWS
from pipeline.sources.packed import inner_suffix
from pipeline.sources.source import SPLITS, Record, Source, columns_to_read
from pipeline.sources.text_lines import read_lines

FORMATS = {
    ".csv": "csv",
    ".tsv": "tsv",
    ".tab": "tsv",
    ".json": "jsonl",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".parquet": "parquet",
    ".pq": "parquet",
}
T = TypeVar("T")
MAX_KEYS = 10_000  # of different keys in a JSON file that messages and checks know of


def read(params: Ingest, root: Path) -> list[Source]:
    """Every file that params name, in the order train, validation, test, unlabelled; records are read when iterated.

    Raises UserError if ``ingest.path`` does not exist, or if the beginning of a file cannot be read.
    """
    top = root / params.path
    if not exists(top):
        raise UserError(f"ingest.path: expected a file or folder, found no {params.path}; correct the path")
    base = top if top.is_dir() else top.parent
    paths = find_files(params, top)
    return [stream_file(path, path.relative_to(base).as_posix(), split, params) for path, split in paths]


def exists(path: Path) -> bool:
    """Whether a path exists; one that is too long or holds a NUL character does not."""
    try:
        return path.exists()
    except (OSError, ValueError):
        return False


def find_files(params: Ingest, top: Path) -> list[tuple[Path, str]]:
    """Each file that params name, once, with its split; the files of one pattern are in name order.

    ``top`` is ``ingest.path``: a folder or a single file. Raises UserError if a file is in two splits, which would then
    share its rows.
    """
    patterns = [(split, pattern) for split in SPLITS for pattern in getattr(params, split)]
    if not params.train:  # the column columns.split gives the split of each row
        patterns.append(("train", "*" if top.is_dir() else top.name))
    split_of: dict[Path, str] = {}
    for split, pattern in patterns:
        for path in match_files(pattern, top, f"ingest.{split}"):
            if split_of.setdefault(path, split) != split:
                raise UserError(
                    f"ingest.{split}: expected each file in one split, found {path.name} in {split_of[path]} and "
                    f"{split}; narrow the patterns"
                )
    return list(split_of.items())


def match_files(pattern: str, top: Path, key: str) -> list[Path]:
    """The files below ``top`` that match ``pattern``, sorted; if ``top`` is a file, no other file can match.

    Raises UserError, which names the YAML path ``key``, if no file matches or if the pattern leads out of
    ``ingest.path``. DVC watches that path only: a change of a file outside it would go unnoticed.
    """
    if Path(pattern).is_absolute() or ".." in Path(pattern).parts:
        raise UserError(f'{key}: expected a pattern below ingest.path, found "{pattern}"; make it relative to that')
    base = top if top.is_dir() else top.parent
    try:
        found = sorted(path for path in base.glob(pattern) if not (path.is_dir() or path.name.startswith(".")))
    except (OSError, ValueError, NotImplementedError) as error:
        raise UserError(f"{key}: expected a file pattern such as 2026-*.csv, found one that fails: {error}") from None
    paths = [check_is_file(path, base) for path in found]
    if not top.is_dir():
        paths = [path for path in paths if path == top]
    if not paths:
        existing = sorted(path.name for path in base.iterdir())[:10] if top.is_dir() else [top.name]
        raise UserError(
            f'{key}: expected a file that matches "{pattern}", found none; ingest.path holds {", ".join(existing)}'
        )
    return paths


def check_is_file(path: Path, base: Path) -> Path:
    """The path. Raises UserError if it is a broken link, or something else than a file, such as a named pipe."""
    if not path.is_file():
        found = "a link that leads nowhere" if path.is_symlink() else "something else, such as a named pipe"
        name = escape_invalid(path.relative_to(base).as_posix())
        raise UserError(f"{name}: expected a file, found {found}; remove it, or narrow the pattern")
    return path


def read_file(path: Path, name: str, split: str, params: Ingest) -> Source:
    """The records of one file as a list, read by its format; ``name`` is its name in messages.

    Raises UserError for a file that cannot be read: an unknown ending, too many rows, or whatever its reader raises.
    """
    source = stream_file(path, name, split, params)
    return replace(source, records=list(source.records))


def stream_file(path: Path, name: str, split: str, params: Ingest) -> Source:
    """The records of one file, read as they are iterated; ``name`` is its name in messages and in rejected.parquet.

    Raises UserError for a file whose beginning cannot be read; the iteration raises it for what follows.
    """
    name = escape_invalid(name)
    kind = file_format(path, params)
    if kind is None:
        raise UserError(
            f"{name}: expected one of the endings {', '.join(FORMATS)}, also with .gz or .zst, found "
            f'"{escape_invalid(path.suffix)}"; set ingest.format'
        )
    try:
        stream = parquet.read if kind == "parquet" else stream_text_file
        source = stream(path, name, kind, split, params)
    except OSError as error:
        raise unreadable(name, error) from None
    return replace(source, records=explain_errors(source.records, name))


def explain_errors(records: Iterable[Record], name: str) -> Iterator[Record]:
    """The records. Raises UserError where the file cannot be read on."""
    try:
        yield from records
    except OSError as error:
        raise unreadable(name, error) from None


def unreadable(name: str, error: OSError) -> UserError:
    """The error of a file that the system does not read."""
    return UserError(f"{name}: expected a file that can be read, found: {error.strerror}; check it")


def stream_text_file(path: Path, name: str, kind: str, split: str, params: Ingest) -> Source:
    """The records of a file that holds text."""
    lines, encoding = read_lines(path, params.encoding, name)
    names = columns_to_read(params.columns)
    if kind in ("csv", "tsv"):
        table = delimited.read_table(lines, name, names, delimiter_of(kind, params))
        columns = [escape_invalid(column) for column in table.columns]
        return Source(name, split, columns, table_records(table, name, names), encoding)
    json = json_rows.read_rows(lines, name, names)
    if kind == "label_studio" or (params.format == "auto" and label_studio.is_export(json.document)):
        return Source(name, split, *label_studio.read(json.document, name, params.columns), encoding)
    columns = []
    return Source(name, split, columns, json_records(json.rows, name, names, columns), encoding)


def file_format(path: Path, params: Ingest) -> str | None:
    """The format in which a file is read: ``ingest.format``, or by the file's ending; None if that is unknown."""
    return params.format if params.format != "auto" else FORMATS.get(inner_suffix(path))


def delimiter_of(kind: str | None, params: Ingest) -> str | None:
    """The delimiter of a file of this format; None if it has to be detected."""
    return params.delimiter or ("\t" if kind == "tsv" else None)


def table_records(table: delimited.Table, name: str, names: list[str]) -> Iterator[Record]:
    """One record for each row of a delimited file that is not blank, with the cells of the columns in ``names``.

    The numbers of short rows and of rows over several lines are printed on stderr after the last one. Raises UserError
    if there are too many rows.
    """
    index = {column: table.columns.index(column) for column in names if column in table.columns}
    short, first_long, long = 0, 0, 0
    for row in count_rows(table.rows, name):
        if row.is_blank:
            continue
        cells = {} if row.fault else {column: row.cells[place] for column, place in index.items()}
        yield Record(row.start, cells, row.fault, row.raw if row.fault else "")
        short += row.is_short
        if row.end > row.start:
            first_long, long = first_long or row.start, long + 1
    if long:
        print_note(f"{name}: {long} rows hold line breaks within quotes (the first at line {first_long})")
    if short:
        print_note(
            f"{name}: {short} rows have fewer cells than the header; what is missing at their end is read as empty"
        )


def json_records(
    rows: Iterable[json_rows.JsonRow], name: str, names: list[str], columns: list[str]
) -> Iterator[Record]:
    """One record for each row of a JSON file, with the values of the keys in ``names``.

    ``columns`` gains the keys of the file as they are met. A key that a row lacks is an empty cell. Raises UserError if
    there are too many rows.
    """
    known: set[str] = set()
    for row in count_rows(rows, name):
        if len(columns) <= MAX_KEYS and not known.issuperset(row.content):
            known.update(row.content)
            columns += [key for key in map(escape_invalid, row.content) if key not in columns]
        cells = {} if row.fault else {key: row.content.get(key) for key in names}
        yield Record(row.row, cells, row.fault, row.raw)


def count_rows(rows: Iterable[T], name: str) -> Iterator[T]:
    """The rows, up to the limit. Raises UserError if there are more."""
    for number, row in enumerate(rows, start=1):
        if number > MAX_ROWS:
            raise UserError(f"{name}: expected at most {MAX_ROWS:,} rows, found more; divide or check the file")
        yield row
