"""Files below ``ingest.path`` to records: CSV, TSV, JSON Lines, Parquet and Label Studio's export."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from pipeline.core.errors import UserError
from pipeline.core.params import Ingest
from pipeline.sources import delimited, label_studio
from pipeline.sources.class_names import name_classes, schema_class_names
from pipeline.sources.decoding import decode
from pipeline.sources.source import SPLITS, Record, Source, columns_to_read

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
    """Every file that params name, in the order train, validation, test, unlabelled.

    Raises UserError if ``ingest.path`` does not exist.
    """
    top = root / params.path
    if not top.exists():
        raise UserError(f"ingest.path: expected a file or folder, found no {params.path}; correct the path")
    base = top if top.is_dir() else top.parent
    paths = find_files(params, top)
    return [read_file(path, path.relative_to(base).as_posix(), split, params) for path, split in paths]


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
    paths = sorted(path for path in base.glob(pattern) if path.is_file() and not path.name.startswith("."))
    if not top.is_dir():
        paths = [path for path in paths if path == top]
    if not paths:
        existing = sorted(path.name for path in base.iterdir())[:10] if top.is_dir() else [top.name]
        raise UserError(
            f'{key}: expected a file that matches "{pattern}", found none; ingest.path holds {", ".join(existing)}'
        )
    return paths


def read_file(path: Path, name: str, split: str, params: Ingest) -> Source:
    """The records of one file, read by its format; ``name`` is its name in messages and in rejected.parquet.

    Raises UserError if the format cannot be read from the ending of the file's name.
    """
    kind = file_format(path, params)
    if kind is None:
        raise UserError(
            f'{name}: expected one of the endings {", ".join(FORMATS)}, found "{path.suffix}"; set ingest.format'
        )
    if kind == "parquet":
        return read_parquet(path, name, split, params)
    text, encoding = decode(path.read_bytes(), params.encoding, name)
    is_export = kind == "jsonl" and params.format == "auto" and label_studio.is_label_studio_export(text)
    if kind == "label_studio" or is_export:
        return Source(name, split, *label_studio.read(text, name, params.columns), encoding)
    readers: dict[str, Callable[..., tuple[list[str], list[Record]]]] = {
        "csv": delimited.read,
        "tsv": delimited.read,
        "jsonl": read_json_lines,
    }
    columns, records = readers[kind](text, name, columns_to_read(params.columns), delimiter_of(kind, params))
    return Source(name, split, columns, records, encoding)


def file_format(path: Path, params: Ingest) -> str | None:
    """The format in which a file is read: ``ingest.format``, or by the file's ending; None if that is unknown."""
    return params.format if params.format != "auto" else FORMATS.get(path.suffix.lower())


def delimiter_of(kind: str | None, params: Ingest) -> str | None:
    """The delimiter of a file of this format; None if it has to be detected."""
    return params.delimiter or ("\t" if kind == "tsv" else None)


def read_json_lines(text: str, name: str, names: list[str], _delimiter: str | None) -> tuple[list[str], list[Record]]:
    """All keys of a JSON Lines file, and one record a line with the values of the keys in ``names``.

    A key that a line lacks is an empty cell. A line that is no JSON object becomes a record with a fault.
    """
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
    """The records of a Parquet file. Raises UserError if it is none."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(path) as file:
            columns = file.schema_arrow.names
            class_names = schema_class_names(file.schema_arrow.metadata)
            names = [key for key in columns_to_read(params.columns) if key in columns]
            table = file.read(columns=names)
    except (pa.ArrowInvalid, OSError):
        raise UserError(f"{name}: expected a whole Parquet file, found something else; set ingest.format") from None
    values = {key: column_values(table[key]) for key in names}
    for key in class_names.keys() & values.keys():
        values[key] = [name_classes(value, class_names[key]) for value in values[key]]
    records = [Record(row + 1, {key: values[key][row] for key in names}) for row in range(table.num_rows)]
    return Source(name, split, columns, records)


def column_values(column: Any) -> list[Any]:
    """The values of an Arrow column; text comes as bytes, because pyarrow does not check that it is valid UTF-8."""
    import pyarrow as pa

    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    is_text = pa.types.is_string(column.type) or pa.types.is_large_string(column.type)
    return (column.cast(pa.large_binary()) if is_text else column).to_pylist()
