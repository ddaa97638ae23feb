"""Files and globs below ``ingest.path``: CSV, TSV, JSON Lines, Parquet and Label Studio's export to records."""

import json
from collections.abc import Callable
from pathlib import Path

from pipeline.core.errors import UserError
from pipeline.core.params import Ingest
from pipeline.sources import delimited, label_studio
from pipeline.sources.decode import decode
from pipeline.sources.source import SPLITS, Record, Source, wanted

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


def read(params: Ingest, root: Path) -> list[Source]:
    """All files that params name, in the order train, validation, test, unlabelled."""
    place = root / params.path
    if not place.exists():
        raise UserError(f"ingest.path: expected a file or folder, found no {params.path}; correct the path")
    base = place if place.is_dir() else place.parent
    return [read_file(path, path.relative_to(base).as_posix(), split, params) for path, split in find(params, place)]


def find(params: Ingest, place: Path) -> list[tuple[Path, str]]:
    """Each file once, with its split; files of a pattern come in name order.

    Raises UserError for a pattern without a file, and for a file in two splits: its rows would be in both.
    """
    entries = [(split, pattern) for split in SPLITS for pattern in getattr(params, split)]
    if not params.train:  # columns.split says which row goes where
        entries.append(("train", "*" if place.is_dir() else place.name))
    owner: dict[Path, str] = {}
    for split, pattern in entries:
        for path in matching(pattern, place, f"ingest.{split}"):
            if owner.setdefault(path, split) != split:
                raise UserError(
                    f"ingest.{split}: expected each file in one split, found {path.name} in {owner[path]} and {split}; "
                    "narrow the patterns"
                )
    return list(owner.items())


def matching(pattern: str, place: Path, key: str) -> list[Path]:
    """Files that match a pattern below a folder; where ``place`` is a file, only that one can match.

    DVC watches ``ingest.path`` alone, so a file outside it would change without anyone noticing.
    """
    if Path(pattern).is_absolute() or ".." in Path(pattern).parts:
        raise UserError(f'{key}: expected a pattern below ingest.path, found "{pattern}"; make it relative to that')
    base = place if place.is_dir() else place.parent
    found = sorted(path for path in base.glob(pattern) if path.is_file() and not path.name.startswith("."))
    if not place.is_dir():
        found = [path for path in found if path == place]
    if not found:
        there = sorted(path.name for path in base.iterdir())[:10] if place.is_dir() else [place.name]
        raise UserError(
            f'{key}: expected a file that matches "{pattern}", found none; ingest.path holds {", ".join(there)}'
        )
    return found


def read_file(path: Path, name: str, split: str, params: Ingest) -> Source:
    """One file, by its format."""
    kind = kind_of(path, params)
    if kind is None:
        raise UserError(
            f'{name}: expected one of the endings {", ".join(FORMATS)}, found "{path.suffix}"; set ingest.format'
        )
    if kind == "parquet":
        return read_parquet(path, name, split, params)
    text, encoding = decode(path.read_bytes(), params.encoding, name)
    if kind == "label_studio" or (kind == "jsonl" and params.format == "auto" and label_studio.looks_like_it(text)):
        return Source(name, split, *label_studio.read(text, name, params.columns), encoding)
    readers: dict[str, Callable[..., tuple[list[str], list[Record]]]] = {
        "csv": delimited.read,
        "tsv": delimited.read,
        "jsonl": read_json_lines,
    }
    columns, records = readers[kind](text, name, wanted(params.columns), delimiter_of(kind, params))
    return Source(name, split, columns, records, encoding)


def kind_of(path: Path, params: Ingest) -> str | None:
    """The format by which a file is read, None for an ending that nobody knows."""
    return params.format if params.format != "auto" else FORMATS.get(path.suffix.lower())


def delimiter_of(kind: str | None, params: Ingest) -> str | None:
    """What divides the cells of such a file; None where it is detected."""
    return params.delimiter or ("\t" if kind == "tsv" else None)


def read_json_lines(text: str, name: str, names: list[str], _delimiter: str | None) -> tuple[list[str], list[Record]]:
    """One JSON object a line; a key that a line lacks is an empty cell."""
    columns: dict[str, None] = {}
    records = []
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip():
            continue
        try:
            content = json.loads(line)
        except (ValueError, RecursionError):
            records.append(Record(number, {}, "not valid JSON", line))
            continue
        if not isinstance(content, dict):
            records.append(Record(number, {}, "not a JSON object", line))
            continue
        columns.update(dict.fromkeys(content))
        records.append(Record(number, {key: content.get(key) for key in names}))
    return list(columns), records


def read_parquet(path: Path, name: str, split: str, params: Ingest) -> Source:
    """A Parquet file; text is decoded here, cell by cell, because pyarrow does not check that it is UTF-8."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(path) as file:
            columns = file.schema_arrow.names
            names = [key for key in wanted(params.columns) if key in columns]
            table = file.read(columns=names)
    except (pa.ArrowInvalid, OSError):
        raise UserError(f"{name}: expected a whole Parquet file, found something else; set ingest.format") from None
    values = {}
    for key in names:
        column = table[key]
        if pa.types.is_dictionary(column.type):
            column = column.cast(column.type.value_type)
        is_text = pa.types.is_string(column.type) or pa.types.is_large_string(column.type)
        values[key] = (column.cast(pa.large_binary()) if is_text else column).to_pylist()
    records = [Record(row + 1, {key: values[key][row] for key in names}) for row in range(table.num_rows)]
    return Source(name, split, columns, records)
