"""MLflow's /invocations: the same questions and answers as `mlflow models serve` of a version of Gleaner."""

import csv
import io
from typing import Any

from pydantic_core import from_json

from pipeline.serving.errors import ApiError

COLUMN = "text"  # of the signature that every version has
FORMATS = ("dataframe_split", "dataframe_records", "instances", "inputs")


def read_texts(content: bytes, media_type: str) -> list[str]:
    """The texts of a request. Raises ApiError for what MLflow refuses, too."""
    kind, _, rest = media_type.partition(";")
    charset = rest.strip().lower()
    if charset and charset.replace('"', "") not in ("charset=utf-8", "charset=utf8"):
        raise ApiError(415, "media_type", "expected UTF-8, found another character set")
    match kind.strip().lower():
        case "application/json":
            return check_texts(json_texts(content))
        case "text/csv":
            return check_texts(csv_texts(content))
    raise ApiError(415, "media_type", "expected application/json or text/csv, found another content type")


def json_texts(content: bytes) -> list[Any]:
    """The cells of the column of texts. Raises ApiError if there is none."""
    try:
        body = from_json(content)
    except ValueError:
        raise ApiError(400, "not_json", "expected JSON, found something else") from None
    given = [name for name in FORMATS if isinstance(body, dict) and name in body]
    if len(given) != 1:
        raise ApiError(400, "invalid", f"expected an object with one of {', '.join(FORMATS)}, found another")
    value = body[given[0]]
    return split_cells(value) if given[0] == "dataframe_split" else record_cells(value, given[0])


def split_cells(value: Any) -> list[Any]:
    """The column of texts of a table as columns and data. Raises ApiError if it is none."""
    columns = value.get("columns") if isinstance(value, dict) else None
    data = value.get("data") if isinstance(value, dict) else None
    if not (isinstance(columns, list) and isinstance(data, list) and columns.count(COLUMN) == 1):
        raise missing_column("dataframe_split")
    if not all(isinstance(row, list) and len(row) == len(columns) for row in data):
        raise ApiError(400, "invalid", "dataframe_split.data: expected a cell for each column in each row")
    position = columns.index(COLUMN)
    return [row[position] for row in data]


def record_cells(value: Any, name: str) -> list[Any]:
    """The cells of records, of an object of columns, or of a list of texts. Raises ApiError if there are none."""
    if isinstance(value, dict) and name == "inputs" and COLUMN in value:
        cells = value[COLUMN]
        return cells if isinstance(cells, list) else [cells]
    if isinstance(value, list) and all(isinstance(row, dict) and COLUMN in row for row in value):
        return [row[COLUMN] for row in value]
    if isinstance(value, list) and name in ("inputs", "instances") and all(isinstance(row, str) for row in value):
        return value
    raise missing_column(name)


def csv_texts(content: bytes) -> list[Any]:
    """The column of texts of a CSV file. Raises ApiError if there is none."""
    try:
        rows = list(csv.DictReader(io.StringIO(content.decode("utf-8"), newline=""), strict=True))
    except (UnicodeDecodeError, csv.Error):
        raise ApiError(400, "not_csv", "expected CSV in UTF-8, found something else") from None
    if not rows or COLUMN not in rows[0]:
        raise missing_column("the body")
    return [row[COLUMN] for row in rows]


def missing_column(where: str) -> ApiError:
    """The refusal of a table without texts."""
    return ApiError(400, "invalid", f"{where}: expected the column {COLUMN}, found none")


def check_texts(cells: list[Any]) -> list[str]:
    """The cells, which are texts. Raises ApiError if one is none."""
    if wrong := [row for row, cell in enumerate(cells) if not isinstance(cell, str)]:
        raise ApiError(400, "invalid", f"{COLUMN}: expected one text a row, found another value in row {wrong[0]}")
    return cells


def to_rows(labels: list[str | None], confidences: list[float], version: str | None) -> dict[str, Any]:
    """The answer as MLflow writes it."""
    return {
        "predictions": [
            {"label": label, "confidence": confidence, "version": version}
            for label, confidence in zip(labels, confidences, strict=True)
        ]
    }
