"""The class names of a Hugging Face dataset, whose label columns hold class numbers or lists of them.

A dataset that was saved as Parquet keeps the names in the metadata of the file's schema.
"""

import json
from typing import Any

METADATA_KEY = b"huggingface"


def class_names(feature: Any) -> list[str] | None:
    """The names of the classes that a column's feature numbers; None if it numbers none.

    ``feature`` is of the package datasets, or the same as JSON: a ClassLabel, or lists of one.
    """
    if isinstance(feature, list):
        return class_names(feature[0]) if len(feature) == 1 else None
    if isinstance(feature, dict):
        inner = feature.get("feature")
        names = feature.get("names") if feature.get("_type") == "ClassLabel" else None
    else:
        inner = getattr(feature, "feature", None)
        names = getattr(feature, "names", None)
    if isinstance(names, list) and all(isinstance(name, str) for name in names):
        return names
    return class_names(inner) if inner is not None else None


def schema_class_names(metadata: dict[bytes, bytes] | None) -> dict[str, list[str]]:
    """Column: its class names, from the metadata of an Arrow schema; other columns are left out."""
    try:
        features = json.loads((metadata or {}).get(METADATA_KEY, b"{}"))["info"]["features"]
        names = {column: class_names(feature) for column, feature in features.items()}
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return {}
    return {column: found for column, found in names.items() if found}


def name_classes(value: Any, names: list[str]) -> Any:
    """A class number as its name, a list with each of its numbers as a name; None for a negative number."""
    if isinstance(value, list | tuple):
        return [name_classes(entry, names) for entry in value]
    if not isinstance(value, int) or isinstance(value, bool) or value >= len(names):
        return value
    return names[value] if value >= 0 else None
